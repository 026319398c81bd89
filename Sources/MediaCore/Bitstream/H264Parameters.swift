// SPDX-License-Identifier: Apache-2.0

/// The parts of a sequence parameter set that reading slice headers and reports need (ITU-T H.264, 7.3.2.1).
struct H264Sequence: Sendable {
  var isPresent = false
  var profile = 0
  var constraints = 0
  var level = 0
  var chromaFormat = 1
  var separatePlanes = false
  var bitDepthLuma = 8
  var scalingMatrix = false
  var log2MaxFrameNumber = 4
  var pictureOrderType = 0
  var log2MaxPictureOrder = 4
  var deltaPictureOrderAlwaysZero = false
  var referenceFrames = 0
  /// Numbers of pictures may be left out though none was lost.
  var gapsAllowed = false
  var frameMacroblocksOnly = true
  var width = 0
  var height = 0
  var frameRate: FrameRate?
  var color = ColorDescription.unspecified
  var aspect = SampleAspect.unknown

  /// - Returns: the set and its number, or `nil` for bytes that are none.
  static func read(_ payload: UnsafeRawBufferPointer) -> (id: Int, set: H264Sequence)? {
    var r = BitReader(payload)
    guard let (id, front) = readFront(&r) else { return nil }
    var set = front
    if r.bit() {
      let usability = VideoUsability.read(&r, isHEVC: false)
      (set.frameRate, set.color, set.aspect) = (usability.frameRate, usability.color, usability.sampleAspect)
    }
    guard !r.failed else { return nil }
    set.isPresent = true
    return (id, set)
  }

  /// Up to the flag of the usability information, which comes next.
  static func readFront(_ r: inout BitReader) -> (id: Int, set: H264Sequence)? {
    var s = H264Sequence()
    s.profile = Int(r.bits(8))
    s.constraints = Int(r.bits(8))
    s.level = Int(r.bits(8))
    let id = r.ue()
    guard id < 32 else { return nil }
    switch s.profile {
    case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
      s.chromaFormat = Int(r.ue())
      guard s.chromaFormat <= 3 else { return nil }
      if s.chromaFormat == 3 { s.separatePlanes = r.bit() }
      let depth = r.ue()
      guard depth <= 6, r.ue() <= 6 else { return nil }
      s.bitDepthLuma = 8 + Int(depth)
      _ = r.bit()
      s.scalingMatrix = r.bit()
      if s.scalingMatrix { skipScalingLists(&r, count: s.chromaFormat == 3 ? 12 : 8) }
    default: break
    }
    s.log2MaxFrameNumber = Int(r.ue()) + 4
    s.pictureOrderType = Int(r.ue())
    guard s.log2MaxFrameNumber <= 16, s.pictureOrderType <= 2 else { return nil }
    if s.pictureOrderType == 0 {
      s.log2MaxPictureOrder = Int(r.ue()) + 4
      guard s.log2MaxPictureOrder <= 16 else { return nil }
    } else if s.pictureOrderType == 1 {
      s.deltaPictureOrderAlwaysZero = r.bit()
      _ = r.se()
      _ = r.se()
      let cycle = r.ue()
      guard cycle <= 255 else { return nil }
      for _ in 0..<cycle { _ = r.se() }
    }
    s.referenceFrames = Int(r.ue())
    s.gapsAllowed = r.bit()
    let widthBlocks = Int(r.ue()) + 1
    let heightUnits = Int(r.ue()) + 1
    s.frameMacroblocksOnly = r.bit()
    if !s.frameMacroblocksOnly { _ = r.bit() }
    _ = r.bit()
    guard widthBlocks <= 1024, heightUnits <= 1024, !r.failed else { return nil }
    s.width = widthBlocks * 16
    s.height = heightUnits * 16 * (s.frameMacroblocksOnly ? 1 : 2)
    if r.bit() { s.crop(&r) }
    return r.failed ? nil : (Int(id), s)
  }

  private mutating func crop(_ r: inout BitReader) {
    let sides = (Int(r.ue()), Int(r.ue()), Int(r.ue()), Int(r.ue()))
    let unitX = chromaFormat == 1 || chromaFormat == 2 ? 2 : 1
    let unitY = (chromaFormat == 1 ? 2 : 1) * (frameMacroblocksOnly ? 1 : 2)
    let (x, y) = ((sides.0 + sides.1) * unitX, (sides.2 + sides.3) * unitY)
    if x < width { width -= x }
    if y < height { height -= y }
  }

  static func skipScalingLists(_ r: inout BitReader, count: Int) {
    for list in 0..<count where r.bit() {
      var last: Int32 = 8
      var next: Int32 = 8
      for _ in 0..<(list < 6 ? 16 : 64) where !r.failed {
        if next != 0 { next = (last &+ r.se()) & 255 }
        if next != 0 { last = next }
      }
    }
  }
}

/// The parts of a picture parameter set that reading slice headers and reports need (7.3.2.2).
struct H264PictureSet: Sendable {
  var isPresent = false
  var sequence = 0
  var cabac = false
  var bottomFieldOrder = false
  var references0 = 1
  var references1 = 1
  var weighted = false
  var weightedB = 0
  var initialQP = 26
  var chromaQPOffset = 0
  var deblockingControl = false
  var constrainedIntra = false
  var redundantPictures = false
  var transform8x8 = false
  var scalingMatrix = false
  /// More than one slice group: nobody uses them, and slice headers are not read then.
  var hasSliceGroups = false

  /// - Parameter chromaFormat: of a sequence parameter set by number, for the count of scaling lists.
  static func read(
    _ payload: UnsafeRawBufferPointer, chromaFormat: (Int) -> Int
  ) -> (id: Int, set: H264PictureSet)? {
    var r = BitReader(payload)
    var p = H264PictureSet()
    let id = r.ue()
    let sequence = r.ue()
    guard id < 256, sequence < 32 else { return nil }
    p.sequence = Int(sequence)
    p.cabac = r.bit()
    p.bottomFieldOrder = r.bit()
    p.hasSliceGroups = r.ue() > 0
    if p.hasSliceGroups {
      guard !r.failed else { return nil }
      p.isPresent = true
      return (Int(id), p)
    }
    let references = (r.ue(), r.ue())
    guard references.0 < 32, references.1 < 32 else { return nil }
    p.references0 = Int(references.0) + 1
    p.references1 = Int(references.1) + 1
    p.weighted = r.bit()
    p.weightedB = Int(r.bits(2))
    p.initialQP = 26 + Int(r.se())
    _ = r.se()
    p.chromaQPOffset = Int(r.se())
    p.deblockingControl = r.bit()
    p.constrainedIntra = r.bit()
    p.redundantPictures = r.bit()
    guard !r.failed else { return nil }
    if r.hasMoreData() {
      p.transform8x8 = r.bit()
      p.scalingMatrix = r.bit()
      if p.scalingMatrix {
        let more = p.transform8x8 ? (chromaFormat(p.sequence) == 3 ? 6 : 2) : 0
        H264Sequence.skipScalingLists(&r, count: 6 + more)
      }
    }
    p.isPresent = true
    return (Int(id), p)
  }
}

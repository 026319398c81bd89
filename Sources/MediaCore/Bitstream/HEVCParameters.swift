// SPDX-License-Identifier: Apache-2.0

/// The parts of a sequence parameter set that slice headers and reports need (ITU-T H.265, 7.3.2.2 and E.2.1).
struct HEVCSequence: Sendable {
  var id = 0
  /// Of the video parameter set it belongs to.
  var video = 0
  var width = 0
  var height = 0
  var profile = 0
  var level = 0
  var chromaFormat = 1
  var bitDepth = 8
  var separatePlanes = false
  var log2MaxOrder = 8
  var references: [HEVCReferenceSet] = []
  /// `log2` of the side of a coding tree block.
  var log2Block = 6
  /// Of the picture as it is coded, before cropping.
  var codedWidth = 0
  var codedHeight = 0
  var scalingMatrix = false
  var sampleAdaptiveOffset = false
  /// `long_term_ref_pics_present_flag`
  var hasLongTerm = false
  /// Long-term pictures the set lists, and one bit each: the picture itself may refer to it.
  var longTermCount = 0
  var longTermUsed: UInt32 = 0
  /// `sps_temporal_mvp_enabled_flag`
  var predictsMotion = false
  var strongIntraSmoothing = false
  /// `nil` where it states none.
  var frameRate: FrameRate?
  var color = ColorDescription.unspecified
  var aspect = SampleAspect.unknown

  /// - Parameter payload: without the two bytes of the unit's header.
  /// - Returns: `nil` for bytes that are none. Where only what stands behind the size cannot be read, that is left out.
  static func read(_ payload: UnsafeRawBufferPointer) -> HEVCSequence? {
    var r = BitReader(payload)
    guard let (first, subLayers) = readSize(&r) else { return nil }
    var s = first
    guard s.readRest(&r, subLayers: subLayers), r.bit() else { return s }
    let usability = VideoUsability.read(&r, isHEVC: true)
    guard !r.failed else { return s }
    (s.frameRate, s.color, s.aspect) = (usability.frameRate, usability.color, usability.sampleAspect)
    return s
  }

  /// Up to the flag of the usability information, which comes next.
  static func readFront(_ r: inout BitReader) -> HEVCSequence? {
    guard let (first, subLayers) = readSize(&r) else { return nil }
    var s = first
    return s.readRest(&r, subLayers: subLayers) ? s : nil
  }

  private static func readSize(_ r: inout BitReader) -> (set: HEVCSequence, subLayers: Int)? {
    var s = HEVCSequence()
    s.video = Int(r.bits(4))
    let subLayers = Int(r.bits(3))
    guard subLayers <= 6 else { return nil }
    r.skip(1)
    (s.profile, s.level) = readProfile(&r, subLayers: subLayers)
    let id = r.ue()
    guard id < 16 else { return nil }
    s.id = Int(id)
    let chroma = r.ue()
    guard chroma <= 3 else { return nil }
    s.chromaFormat = Int(chroma)
    if chroma == 3 { s.separatePlanes = r.bit() }
    (s.width, s.height) = (Int(r.ue()), Int(r.ue()))
    (s.codedWidth, s.codedHeight) = (s.width, s.height)
    if r.bit() {
      let horizontal = chroma == 1 || chroma == 2 ? 2 : 1
      let vertical = chroma == 1 ? 2 : 1
      s.width -= horizontal * (Int(r.ue()) + Int(r.ue()))
      s.height -= vertical * (Int(r.ue()) + Int(r.ue()))
    }
    guard !r.failed, (1...65536).contains(s.width), (1...65536).contains(s.height) else { return nil }
    return (s, subLayers)
  }

  /// profile_tier_level (7.3.3): space and tier, the profile, flags; the level; the same for each sub-layer told.
  static func readProfile(_ r: inout BitReader, subLayers: Int) -> (profile: Int, level: Int) {
    r.skip(3)
    let profile = Int(r.bits(5))
    r.skip(80)
    let level = Int(r.bits(8))
    var told: (profiles: UInt8, levels: UInt8) = (0, 0)
    for layer in 0..<subLayers {
      if r.bit() { told.profiles |= 1 << UInt8(layer) }
      if r.bit() { told.levels |= 1 << UInt8(layer) }
    }
    if subLayers > 0 { r.skip(2 * (8 - subLayers)) }
    for layer in 0..<subLayers {
      r.skip((told.profiles >> UInt8(layer) & 1 == 1 ? 88 : 0) + (told.levels >> UInt8(layer) & 1 == 1 ? 8 : 0))
    }
    return (profile, level)
  }

  /// - Returns: false where it cannot be read to its end.
  private mutating func readRest(_ r: inout BitReader, subLayers: Int) -> Bool {
    bitDepth = 8 + Int(min(8, r.ue()))
    _ = r.ue()
    let order = r.ue()
    guard order <= 12 else { return false }
    log2MaxOrder = Int(order) + 4
    let first = r.bit() ? 0 : subLayers
    for _ in first...subLayers { for _ in 0..<3 { _ = r.ue() } }
    // Sizes of blocks and depths of trees.
    let (smallest, more) = (r.ue(), r.ue())
    guard smallest <= 3, more <= 3 else { return false }
    log2Block = Int(smallest + more) + 3
    for _ in 0..<4 { _ = r.ue() }
    scalingMatrix = r.bit()
    if scalingMatrix, r.bit() { HEVCSequence.skipScalingLists(&r) }
    r.skip(1)
    sampleAdaptiveOffset = r.bit()
    if r.bit() {
      r.skip(8)
      _ = r.ue()
      _ = r.ue()
      r.skip(1)
    }
    let sets = r.ue()
    guard sets <= 64, !r.failed else { return false }
    var found: [HEVCReferenceSet] = []
    for _ in 0..<sets {
      guard let set = HEVCReferenceSet.read(&r, inSlice: false, after: found) else { return false }
      found.append(set)
    }
    guard !r.failed else { return false }
    references = found
    hasLongTerm = r.bit()
    if hasLongTerm {
      let longTerm = r.ue()
      guard longTerm <= 32 else { return false }
      longTermCount = Int(longTerm)
      for index in 0..<longTerm {
        r.skip(log2MaxOrder)
        if r.bit() { longTermUsed |= 1 << index }
      }
    }
    predictsMotion = r.bit()
    strongIntraSmoothing = r.bit()
    return !r.failed
  }

  private static func rate(_ r: inout BitReader) -> FrameRate? {
    let (tick, scale) = (Int(r.bits(32)), Int(r.bits(32)))
    return r.failed ? nil : FrameRate(scale, tick)
  }

  /// Bits of `slice_segment_address`.
  var addressBits: Int {
    let round = 1 << log2Block - 1
    return HEVCSlice.bits(for: ((codedWidth + round) >> log2Block) * ((codedHeight + round) >> log2Block))
  }

  /// A slice's long-term pictures (7.3.6.1).
  /// - Returns: how many of them the picture itself refers to; `nil` where they are none.
  func readLongTerm(_ r: inout BitReader) -> Int? {
    guard hasLongTerm else { return 0 }
    let listed = longTermCount > 0 ? r.ue() : 0
    let own = r.ue()
    guard listed <= 32, own <= 32, !r.failed else { return nil }
    var used = 0
    for index in 0..<listed + own {
      if index < listed {
        let which = r.bits(HEVCSlice.bits(for: longTermCount))
        if longTermUsed >> which & 1 == 1 { used += 1 }
      } else {
        r.skip(log2MaxOrder)
        if r.bit() { used += 1 }
      }
      if r.bit() { _ = r.ue() }
    }
    return r.failed ? nil : used
  }

  /// scaling_list_data (7.3.4).
  static func skipScalingLists(_ r: inout BitReader) {
    for size in 0..<4 {
      for _ in stride(from: 0, to: 6, by: size == 3 ? 3 : 1) where !r.failed {
        guard r.bit() else {
          _ = r.ue()
          continue
        }
        if size > 1 { _ = r.se() }
        for _ in 0..<min(64, 1 << (4 + size * 2)) where !r.failed { _ = r.se() }
      }
    }
  }

  /// The rate a video parameter set states (7.3.2.1), and its number.
  static func readVideo(_ payload: UnsafeRawBufferPointer) -> (id: Int, rate: FrameRate?)? {
    var r = BitReader(payload)
    guard let id = readVideoFront(&r) else { return nil }
    return (id, r.bit() ? rate(&r) : nil)
  }

  /// Up to the flag of its timing, which comes next.
  /// - Returns: the set's number.
  static func readVideoFront(_ r: inout BitReader) -> Int? {
    let id = Int(r.bits(4))
    r.skip(2 + 6)
    let subLayers = Int(r.bits(3))
    guard subLayers <= 6 else { return nil }
    r.skip(1 + 16)
    _ = readProfile(&r, subLayers: subLayers)
    let first = r.bit() ? 0 : subLayers
    for _ in first...subLayers { for _ in 0..<3 { _ = r.ue() } }
    let layers = Int(r.bits(6))
    let sets = r.ue()
    guard sets < 1024, !r.failed else { return nil }
    r.skip(Int(sets) * (layers + 1))
    return r.failed ? nil : id
  }
}

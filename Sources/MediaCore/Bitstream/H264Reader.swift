// SPDX-License-Identifier: Apache-2.0

/// Reads H.264 pictures: parameter sets and slice headers, no slice data.
struct H264Reader: Sendable {
  private var sequences = [H264Sequence](repeating: H264Sequence(), count: 32)
  private var pictures = [H264PictureSet](repeating: H264PictureSet(), count: 256)
  private var continuity = H264Continuity()
  /// The last picture was a key picture: there is no other to be predicted from.
  private var followsKey = true

  mutating func restart() { (continuity, followsKey) = (H264Continuity(), true) }

  /// Fields of a slice header that come out of it.
  struct Slice {
    var type: PictureType = .p
    /// `frame_num`
    var number = 0
    /// `pic_order_cnt_lsb`
    var order = 0
    var isIDR = false
    var isReference = false
    /// Memory management operation 5: what was before is forgotten, and numbers begin anew.
    var forgetsAll = false
    /// It is predicted from one picture, which is a long-term reference.
    var refersToLongTerm = false
    var qp = 0
    var pictureSet = 0
    var isField = false
    var deblockingDisabled = 0
    var alpha = 0
    var beta = 0
  }

  mutating func read(_ bytes: UnsafeRawBufferPointer, _ info: inout PictureInfo, _ syntax: inout StreamSyntax?) {
    var sets = (false, false)
    var qps = 0
    var readable = 0
    var last: Slice?
    var recovery: Int?
    for unit in AnnexBUnits(bytes) {
      let payload = UnsafeRawBufferPointer(rebasing: unit[1...])
      switch unit[0] & 31 {
      case 6: recovery = H264Continuity.recoveryPoint(payload) ?? recovery
      case 7:
        info.bringsParameterSets = true
        if let (id, set) = H264Sequence.read(payload) {
          sequences[id] = set
          sets.0 = true
        }
      case 8:
        info.bringsParameterSets = true
        let parsed = H264PictureSet.read(payload) { sequences[$0].chromaFormat }
        if let (id, set) = parsed {
          pictures[id] = set
          sets.1 = true
        }
      case 1, 2, 5:
        info.slices += 1
        let isIDR = unit[0] & 31 == 5
        if isIDR { info.isKey = true }
        info.isReference = unit[0] & 0x60 != 0
        if !knowsSets(of: payload) { info.lacksParameterSets = true }
        guard let slice = slice(payload, isIDR: isIDR, isReference: info.isReference) else { break }
        info.type = H264Reader.stronger(info.type, slice.type)
        qps += slice.qp
        readable += 1
        last = slice
        info.isField = slice.isField
      default: break
      }
    }
    info.hasParameterSets = sets.0 && sets.1
    if info.isKey { info.type = .idr }
    if readable > 0 { info.qp = (qps + readable / 2) / readable }
    if let last {
      info.isVirtualKey = info.type == .p && last.refersToLongTerm && !followsKey
      followsKey = info.isKey
      continuity.follow(last, sequences[pictures[last.pictureSet].sequence], recovery: recovery, &info)
      describe(last, &syntax)
    }
  }

  /// Whether the parameter sets that a slice refers to have come.
  private func knowsSets(of payload: UnsafeRawBufferPointer) -> Bool {
    var r = BitReader(payload)
    _ = r.ue()
    _ = r.ue()
    let number = r.ue()
    guard !r.failed, number < 256 else { return true }
    let set = pictures[Int(number)]
    return set.isPresent && sequences[set.sequence].isPresent
  }

  /// A picture is named after its least restricted slice.
  private static func stronger(_ old: PictureType?, _ new: PictureType) -> PictureType {
    if old == .b || new == .b { return .b }
    if old == .p || new == .p { return .p }
    return new
  }

  /// Slice header up to the deblocking parameters (7.3.3).
  private func slice(_ payload: UnsafeRawBufferPointer, isIDR: Bool, isReference: Bool) -> Slice? {
    var r = BitReader(payload)
    var slice = Slice()
    _ = r.ue()
    let kind = r.ue()
    guard kind <= 9 else { return nil }
    // 0 P, 1 B, 2 I, 3 SP, 4 SI; five more when all slices of the picture are of that kind.
    let type = Int(kind % 5)
    slice.type = type == 1 ? .b : type == 0 || type == 3 ? .p : .i
    let number = r.ue()
    guard number < 256 else { return nil }
    slice.pictureSet = Int(number)
    let set = pictures[slice.pictureSet]
    guard set.isPresent, !set.hasSliceGroups else { return nil }
    let sequence = sequences[set.sequence]
    guard sequence.isPresent else { return nil }
    if sequence.separatePlanes { r.skip(2) }
    slice.number = Int(r.bits(sequence.log2MaxFrameNumber))
    (slice.isIDR, slice.isReference) = (isIDR, isReference)
    var isField = false
    if !sequence.frameMacroblocksOnly {
      isField = r.bit()
      if isField { _ = r.bit() }
    }
    slice.isField = isField
    if isIDR { _ = r.ue() }
    if sequence.pictureOrderType == 0 {
      slice.order = Int(r.bits(sequence.log2MaxPictureOrder))
      if set.bottomFieldOrder, !isField { _ = r.se() }
    } else if sequence.pictureOrderType == 1, !sequence.deltaPictureOrderAlwaysZero {
      _ = r.se()
      if set.bottomFieldOrder, !isField { _ = r.se() }
    }
    if set.redundantPictures { _ = r.ue() }
    if type == 1 { _ = r.bit() }
    var references = (set.references0, set.references1)
    if type == 0 || type == 1 || type == 3, r.bit() {
      references.0 = Int(r.ue()) + 1
      if type == 1 { references.1 = Int(r.ue()) + 1 }
    }
    guard references.0 <= 32, references.1 <= 32, !r.failed else { return nil }
    if type != 2, type != 4 { slice.refersToLongTerm = H264Reader.skipListChanges(&r) && references.0 == 1 }
    if type == 1 { _ = H264Reader.skipListChanges(&r) }
    if set.weighted && (type == 0 || type == 3) || set.weightedB == 1 && type == 1 {
      H264Reader.skipWeights(&r, references, chroma: sequence.chromaFormat != 0 && !sequence.separatePlanes, type == 1)
    }
    if isReference { slice.forgetsAll = H264Reader.skipMarking(&r, isIDR: isIDR) }
    if set.cabac, type != 2, type != 4 { _ = r.ue() }
    slice.qp = set.initialQP + Int(r.se())
    // Below zero only with more than eight bits a sample.
    guard !r.failed, (-6 * (sequence.bitDepthLuma - 8)...51).contains(slice.qp) else { return nil }
    if type == 3 { _ = r.bit() }
    if type >= 3 { _ = r.se() }
    if set.deblockingControl {
      slice.deblockingDisabled = Int(r.ue())
      if slice.deblockingDisabled != 1 {
        slice.alpha = Int(r.se())
        slice.beta = Int(r.se())
      }
    }
    return r.failed ? nil : slice
  }

  /// `ref_pic_list_modification`, one list (7.3.3.1).
  /// - Returns: whether a long-term reference is put first.
  private static func skipListChanges(_ r: inout BitReader) -> Bool {
    guard r.bit() else { return false }
    var first: UInt32?
    while !r.failed {
      let operation = r.ue()
      if operation == 3 { break }
      first = first ?? operation
      _ = r.ue()
    }
    return first == 2
  }

  /// `pred_weight_table` (7.3.3.2).
  private static func skipWeights(_ r: inout BitReader, _ references: (Int, Int), chroma: Bool, _ isB: Bool) {
    _ = r.ue()
    if chroma { _ = r.ue() }
    for list in 0..<(isB ? 2 : 1) {
      for _ in 0..<(list == 0 ? references.0 : references.1) where !r.failed {
        if r.bit() {
          _ = r.se()
          _ = r.se()
        }
        if chroma, r.bit() { for _ in 0..<4 { _ = r.se() } }
      }
    }
  }

  /// `dec_ref_pic_marking` (7.3.3.3).
  /// - Returns: whether operation 5 is among it.
  private static func skipMarking(_ r: inout BitReader, isIDR: Bool) -> Bool {
    if isIDR {
      r.skip(2)
      return false
    }
    guard r.bit() else { return false }
    var forgetsAll = false
    while !r.failed {
      switch r.ue() {
      case 0: return forgetsAll
      case 5: forgetsAll = true
      case 1, 2, 4, 6: _ = r.ue()
      case 3:
        _ = r.ue()
        _ = r.ue()
      default: break
      }
    }
    return forgetsAll
  }

  private func describe(_ slice: Slice, _ syntax: inout StreamSyntax?) {
    let set = pictures[slice.pictureSet]
    let sequence = sequences[set.sequence]
    var s = StreamSyntax(codec: .h264)
    s.width = sequence.width
    s.height = sequence.height
    s.profile = sequence.profile
    s.level = sequence.level
    s.constraints = sequence.constraints
    s.cabac = set.cabac
    s.transform8x8 = set.transform8x8
    s.constrainedIntra = set.constrainedIntra
    s.pictureOrderType = sequence.pictureOrderType
    s.log2MaxFrameNumber = sequence.log2MaxFrameNumber
    s.referenceFrames = sequence.referenceFrames
    s.frameMacroblocksOnly = sequence.frameMacroblocksOnly
    s.chromaFormat = sequence.chromaFormat
    s.bitDepth = sequence.bitDepthLuma
    s.scalingMatrix = sequence.scalingMatrix || set.scalingMatrix
    s.initialQP = set.initialQP
    s.chromaQPOffset = set.chromaQPOffset
    s.weightedPrediction = set.weighted
    s.deblockingControl = set.deblockingControl
    s.deblockingDisabled = slice.deblockingDisabled
    s.deblockingAlpha = slice.alpha
    s.deblockingBeta = slice.beta
    s.frameRate = sequence.frameRate
    s.color = sequence.color
    s.aspect = sequence.aspect
    syntax = s
  }
}

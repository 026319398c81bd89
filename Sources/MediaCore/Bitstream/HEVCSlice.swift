// SPDX-License-Identifier: Apache-2.0

/// What comes out of the header of an independent slice segment (ITU-T H.265, 7.3.6.1).
struct HEVCSlice: Sendable {
  var pictureSet = 0
  /// The picture begins with it.
  var isFirst = false
  var kind = PictureType.i
  /// `slice_pic_order_cnt_lsb`
  var order = 0
  /// Short-term reference pictures; `nil` where they could not be read, and for IDR pictures.
  var references: HEVCReferenceSet?
  /// `nil` where the header could not be read as far as that.
  var qp: Int?
  var sao = (luma: false, chroma: false)
  var deblocking = HEVCDeblocking()

  enum Result {
    case slice(HEVCSlice)
    /// It goes on with the header of the one before.
    case dependent
    case lacksSets
    case unreadable
  }

  /// - Parameters:
  ///   - payload: without the two bytes of the unit's header.
  ///   - type: `nal_unit_type`
  static func read(
    _ payload: UnsafeRawBufferPointer, _ type: UInt8, _ pictures: [HEVCPictureSet], _ sequences: [HEVCSequence?]
  ) -> Result {
    var r = BitReader(payload)
    var slice = HEVCSlice()
    slice.isFirst = r.bit()
    if type >= 16 { r.skip(1) }
    let number = r.ue()
    guard number < 64 else { return .unreadable }
    slice.pictureSet = Int(number)
    guard pictures[slice.pictureSet].isPresent, let sequence = sequences[pictures[slice.pictureSet].sequence] else {
      return .lacksSets
    }
    let set = pictures[slice.pictureSet]
    if !slice.isFirst {
      if set.hasDependentSlices, r.bit() { return .dependent }
      r.skip(sequence.addressBits)
    }
    r.skip(set.extraSliceBits)
    switch r.ue() {
    case 0: slice.kind = .b
    case 1: slice.kind = .p
    case 2: slice.kind = .i
    default: return .unreadable
    }
    if set.tellsOutput { r.skip(1) }
    if sequence.separatePlanes { r.skip(2) }
    let isIDR = type == 19 || type == 20
    if !isIDR {
      slice.order = Int(r.bits(sequence.log2MaxOrder))
      slice.references = readReferences(&r, sequence)
    }
    guard !r.failed else { return .unreadable }
    // What follows says how the picture is coded, and is left out where it cannot be read.
    if isIDR || slice.references != nil { slice.readCoding(&r, set, sequence, isIDR: isIDR) }
    return .slice(slice)
  }

  private static func readReferences(_ r: inout BitReader, _ sequence: HEVCSequence) -> HEVCReferenceSet? {
    let known = sequence.references
    guard r.bit() else { return HEVCReferenceSet.read(&r, inSlice: true, after: known) }
    let index = Int(r.bits(HEVCSlice.bits(for: known.count)))
    return index < known.count ? known[index] : nil
  }

  /// Bits a number below `count` takes: `Ceil(Log2(count))`.
  static func bits(for count: Int) -> Int {
    count > 1 ? Int.bitWidth - (count - 1).leadingZeroBitCount : 0
  }

  private mutating func readCoding(
    _ r: inout BitReader, _ set: HEVCPictureSet, _ sequence: HEVCSequence, isIDR: Bool
  ) {
    var used = references?.usedCount ?? 0
    var predictsMotion = false
    if !isIDR {
      guard let longTerm = sequence.readLongTerm(&r) else { return }
      used += longTerm
      predictsMotion = sequence.predictsMotion && r.bit()
    }
    let hasChroma = sequence.chromaFormat != 0 && !sequence.separatePlanes
    var sao = (luma: false, chroma: false)
    if sequence.sampleAdaptiveOffset { sao = (r.bit(), hasChroma && r.bit()) }
    if kind != .i { skipPrediction(&r, set, used: used, predictsMotion: predictsMotion, hasChroma: hasChroma) }
    let found = set.initialQP + Int(r.se())
    // Below zero only with more than eight bits a sample.
    guard !r.failed, (-6 * (sequence.bitDepth - 8)...51).contains(found) else { return }
    qp = found
    self.sao = sao
    deblocking = set.deblocking
    if set.slicesTellChromaOffsets {
      _ = r.se()
      _ = r.se()
    }
    guard set.slicesMayOverrideDeblocking, !set.hasExtension, r.bit() else { return }
    let own = HEVCDeblocking.read(&r)
    if !r.failed { deblocking = own }
  }

  private func skipPrediction(
    _ r: inout BitReader, _ set: HEVCPictureSet, used: Int, predictsMotion: Bool, hasChroma: Bool
  ) {
    let isB = kind == .b
    var counts = set.references
    if r.bit() {
      counts.0 = Int(min(15, r.ue())) + 1
      if isB { counts.1 = Int(min(15, r.ue())) + 1 }
    }
    if set.changesLists, used > 1 {
      let width = HEVCSlice.bits(for: used)
      if r.bit() { r.skip(counts.0 * width) }
      if isB, r.bit() { r.skip(counts.1 * width) }
    }
    if isB { r.skip(1) }
    if set.tellsCABACStart { r.skip(1) }
    if predictsMotion {
      let isFromFirst = !isB || r.bit()
      if (isFromFirst ? counts.0 : counts.1) > 1 { _ = r.ue() }
    }
    if isB ? set.weighted.b : set.weighted.p {
      _ = r.ue()
      if hasChroma { _ = r.se() }
      HEVCSlice.skipWeights(&r, counts.0, hasChroma: hasChroma)
      if isB { HEVCSlice.skipWeights(&r, counts.1, hasChroma: hasChroma) }
    }
    _ = r.ue()
  }

  /// One list of `pred_weight_table` (7.3.6.3).
  private static func skipWeights(_ r: inout BitReader, _ count: Int, hasChroma: Bool) {
    var (luma, chroma): (UInt32, UInt32) = (0, 0)
    for index in 0..<count where r.bit() { luma |= 1 << UInt32(index) }
    if hasChroma { for index in 0..<count where r.bit() { chroma |= 1 << UInt32(index) } }
    for index in 0..<count where !r.failed {
      if luma >> UInt32(index) & 1 == 1 { for _ in 0..<2 { _ = r.se() } }
      if chroma >> UInt32(index) & 1 == 1 { for _ in 0..<4 { _ = r.se() } }
    }
  }
}

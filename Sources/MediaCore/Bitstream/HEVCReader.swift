// SPDX-License-Identifier: Apache-2.0

/// Reads H.265 pictures (ITU-T H.265): parameter sets and slice headers, no slice data.
struct HEVCReader: Sendable {
  private var pictures = [HEVCPictureSet](repeating: HEVCPictureSet(), count: 64)
  private var sequences = [HEVCSequence?](repeating: nil, count: 16)
  /// The bytes of each: sets come again with every key picture and are read once.
  private var sequenceBytes = [[UInt8]](repeating: [], count: 16)
  private var videoRates = [FrameRate?](repeating: nil, count: 16)
  private var continuity = HEVCContinuity()

  mutating func restart() { continuity = HEVCContinuity() }

  mutating func read(_ bytes: UnsafeRawBufferPointer, _ info: inout PictureInfo, _ syntax: inout StreamSyntax?) {
    var sets = (false, false, false)
    var recovery: Int?
    var quantisers = (sum: 0, count: 0)
    for unit in AnnexBUnits(bytes) where unit.count > 2 {
      let type = unit[0] >> 1 & 63
      let payload = UnsafeRawBufferPointer(rebasing: unit[2...])
      switch type {
      case 32:
        sets.0 = true
        if let (id, rate) = HEVCSequence.readVideo(payload) { videoRates[id] = rate }
      case 33: sets.1 = readSequence(payload) || sets.1
      case 34:
        if let (id, set) = HEVCPictureSet.read(payload) {
          pictures[id] = set
          sets.2 = true
        }
      case 39: recovery = HEVCContinuity.recoveryPoint(payload) ?? recovery
      case 0...9, 16...21:
        info.slices += 1
        info.isReference = type > 14 || type % 2 == 1
        // 16...21: a decoder can start here (BLA, IDR, CRA).
        if type >= 16 { info.isKey = true }
        switch HEVCSlice.read(payload, type, pictures, sequences) {
        case .slice(let slice):
          if let qp = slice.qp { quantisers = (quantisers.sum + qp, quantisers.count + 1) }
          guard slice.isFirst, info.type == nil else { break }
          info.type = slice.kind
          follow(slice, type, temporal: Int(unit[1] & 7) - 1, recovery, &info)
          describe(slice, &syntax)
        case .lacksSets: info.lacksParameterSets = true
        case .dependent, .unreadable: break
        }
      default: break
      }
    }
    info.bringsParameterSets = sets.0 || sets.1 || sets.2
    info.hasParameterSets = sets.0 && sets.1 && sets.2
    if info.isKey { info.type = .idr }
    if quantisers.count > 0 {
      info.qp = Int((Double(quantisers.sum) / Double(quantisers.count)).rounded())
    }
  }

  private mutating func follow(
    _ slice: HEVCSlice, _ type: UInt8, temporal: Int, _ recovery: Int?, _ info: inout PictureInfo
  ) {
    var picture = HEVCContinuity.Picture()
    (picture.type, picture.temporal, picture.recovery) = (type, temporal, recovery)
    (picture.order, picture.references) = (slice.order, slice.references)
    if let sequence = sequences[pictures[slice.pictureSet].sequence] { picture.log2MaxOrder = sequence.log2MaxOrder }
    continuity.follow(picture, &info)
  }

  private mutating func readSequence(_ payload: UnsafeRawBufferPointer) -> Bool {
    for (bytes, known) in zip(sequenceBytes, sequences) where known != nil && bytes.elementsEqual(payload) {
      return true
    }
    guard let found = HEVCSequence.read(payload) else { return false }
    sequences[found.id] = found
    sequenceBytes[found.id] = Array(payload)
    return true
  }

  private func describe(_ slice: HEVCSlice, _ syntax: inout StreamSyntax?) {
    let set = pictures[slice.pictureSet]
    guard let sequence = sequences[set.sequence] else { return }
    var found = StreamSyntax(codec: .h265)
    found.width = sequence.width
    found.height = sequence.height
    found.profile = sequence.profile
    found.level = sequence.level
    found.chromaFormat = sequence.chromaFormat
    found.bitDepth = sequence.bitDepth
    found.frameRate = sequence.frameRate ?? videoRates[sequence.video]
    found.color = sequence.color
    found.aspect = sequence.aspect
    found.cabac = true
    found.constrainedIntra = set.constrainedIntra
    found.scalingMatrix = sequence.scalingMatrix || set.scalingMatrix
    found.initialQP = set.initialQP
    found.chromaQPOffset = set.cbQPOffset
    found.crQPOffset = set.crQPOffset
    found.weightedPrediction = set.weighted.p
    found.deblockingControl = set.deblockingControl
    found.mayOffsetSamples = sequence.sampleAdaptiveOffset
    found.strongIntraSmoothing = sequence.strongIntraSmoothing
    // Of a slice whose header could not be read that far nothing is said.
    if slice.qp != nil {
      found.deblockingDisabled = slice.deblocking.isDisabled ? 1 : 0
      found.deblockingBeta = slice.deblocking.beta
      found.deblockingTc = slice.deblocking.tc
      found.sampleAdaptiveOffset = slice.sao.luma
      found.chromaSampleAdaptiveOffset = slice.sao.chroma
    } else {
      found.deblockingDisabled = set.deblocking.isDisabled ? 1 : 0
      found.deblockingBeta = set.deblocking.beta
      found.deblockingTc = set.deblocking.tc
    }
    syntax = found
  }
}

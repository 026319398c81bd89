// SPDX-License-Identifier: Apache-2.0

/// Reads H.265 pictures (ITU-T H.265): parameter sets, and what the first slice of a picture says.
///
/// The quantiser is not read: it stands behind most of the slice header.
struct HEVCReader: Sendable {
  /// What of a picture parameter set is needed to read the slice header (7.3.2.3).
  private struct PictureSet: Sendable {
    var isPresent = false
    var sequence = 0
    var tellsOutput = false
    var extraSliceBits = 0
  }
  private var pictures = [PictureSet](repeating: PictureSet(), count: 64)
  private var sequences = [HEVCSequence?](repeating: nil, count: 16)
  /// The bytes of each: sets come again with every key picture and are read once.
  private var sequenceBytes = [[UInt8]](repeating: [], count: 16)
  private var videoRates = [FrameRate?](repeating: nil, count: 16)
  private var continuity = HEVCContinuity()

  mutating func restart() { continuity = HEVCContinuity() }

  mutating func read(_ bytes: UnsafeRawBufferPointer, _ info: inout PictureInfo, _ syntax: inout StreamSyntax?) {
    var sets = (false, false, false)
    var recovery: Int?
    for unit in AnnexBUnits(bytes) where unit.count > 2 {
      let type = unit[0] >> 1 & 63
      let payload = UnsafeRawBufferPointer(rebasing: unit[2...])
      switch type {
      case 32:
        sets.0 = true
        if let (id, rate) = HEVCSequence.readVideo(payload) { videoRates[id] = rate }
      case 33: sets.1 = readSequence(payload) || sets.1
      case 34: sets.2 = readPictureSet(payload) || sets.2
      case 39: recovery = HEVCContinuity.recoveryPoint(payload) ?? recovery
      case 0...9, 16...21:
        info.slices += 1
        info.isReference = type > 14 || type % 2 == 1
        // 16...21: a decoder can start here (BLA, IDR, CRA).
        if type >= 16 { info.isKey = true }
        if let (picture, kind, sequence) = slice(payload, type, temporal: Int(unit[1] & 7) - 1, &info),
          info.type == nil
        {
          info.type = kind
          var picture = picture
          picture.recovery = recovery
          continuity.follow(picture, &info)
          describe(sequence, &syntax)
        }
      default: break
      }
    }
    info.bringsParameterSets = sets.0 || sets.1 || sets.2
    info.hasParameterSets = sets.0 && sets.1 && sets.2
    if info.isKey { info.type = .idr }
  }

  /// Of the first slice segment of a picture (7.3.6.1); the others' place depends on the size of blocks.
  private func slice(
    _ payload: UnsafeRawBufferPointer, _ type: UInt8, temporal: Int, _ info: inout PictureInfo
  ) -> (HEVCContinuity.Picture, PictureType, HEVCSequence)? {
    var r = BitReader(payload)
    guard r.bit() else { return nil }
    if type >= 16 { r.skip(1) }
    let number = r.ue()
    guard number < 64 else { return nil }
    let set = pictures[Int(number)]
    guard set.isPresent, let sequence = sequences[set.sequence] else {
      info.lacksParameterSets = true
      return nil
    }
    r.skip(set.extraSliceBits)
    let kind: PictureType
    switch r.ue() {
    case 0: kind = .b
    case 1: kind = .p
    case 2: kind = .i
    default: return nil
    }
    if set.tellsOutput { r.skip(1) }
    if sequence.separatePlanes { r.skip(2) }
    var picture = HEVCContinuity.Picture()
    (picture.type, picture.temporal, picture.log2MaxOrder) = (type, temporal, sequence.log2MaxOrder)
    if type != 19, type != 20 {
      picture.order = Int(r.bits(sequence.log2MaxOrder))
      picture.references = references(&r, sequence)
    }
    return r.failed ? nil : (picture, kind, sequence)
  }

  private func references(_ r: inout BitReader, _ sequence: HEVCSequence) -> HEVCReferenceSet? {
    let known = sequence.references
    guard r.bit() else { return HEVCReferenceSet.read(&r, inSlice: true, after: known) }
    // As many bits as the number of the last set has.
    let width = known.count > 1 ? Int.bitWidth - (known.count - 1).leadingZeroBitCount : 0
    let index = Int(r.bits(width))
    return index < known.count ? known[index] : nil
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

  private mutating func readPictureSet(_ payload: UnsafeRawBufferPointer) -> Bool {
    var r = BitReader(payload)
    let (number, sequence) = (r.ue(), r.ue())
    guard number < 64, sequence < 16 else { return false }
    r.skip(1)
    let tellsOutput = r.bit()
    let extra = Int(r.bits(3))
    guard !r.failed else { return false }
    pictures[Int(number)] = PictureSet(
      isPresent: true, sequence: Int(sequence), tellsOutput: tellsOutput, extraSliceBits: extra)
    return true
  }

  private func describe(_ sequence: HEVCSequence, _ syntax: inout StreamSyntax?) {
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
    syntax = found
  }
}

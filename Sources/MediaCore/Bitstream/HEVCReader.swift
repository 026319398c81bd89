// SPDX-License-Identifier: Apache-2.0

/// Reads H.265 pictures (ITU-T H.265): which parameter sets there are, and what the first slice of a picture says.
///
/// The quantiser is not read: it stands behind most of the slice header.
struct HEVCReader: Sendable {
  /// What of a picture parameter set is needed to find the slice type.
  private struct PictureSet: Sendable {
    var isPresent = false
    var extraSliceBits = 0
  }
  private var pictures = [PictureSet](repeating: PictureSet(), count: 64)

  mutating func read(_ bytes: UnsafeRawBufferPointer, _ info: inout PictureInfo, _ syntax: inout StreamSyntax?) {
    var sets = (false, false, false)
    for unit in AnnexBUnits(bytes) where unit.count > 2 {
      let type = unit[0] >> 1 & 63
      let payload = UnsafeRawBufferPointer(rebasing: unit[2...])
      switch type {
      case 32: sets.0 = true
      case 33:
        sets.1 = true
        if let found = HEVCReader.sequence(payload) { syntax = found }
      case 34:
        sets.2 = readPictureSet(payload) || sets.2
      case 0...9, 16...21:
        info.slices += 1
        // 16...21: a decoder can start here (BLA, IDR, CRA).
        if type >= 16 { info.isKey = true }
        if let found = sliceType(payload, isKey: type >= 16), info.type == nil { info.type = found }
      default: break
      }
    }
    info.hasParameterSets = sets.0 && sets.1 && sets.2
    if info.isKey { info.type = .idr }
  }

  /// Of the first slice segment of a picture (7.3.6.1); the others' place depends on the size of blocks.
  private func sliceType(_ payload: UnsafeRawBufferPointer, isKey: Bool) -> PictureType? {
    var r = BitReader(payload)
    guard r.bit() else { return nil }
    if isKey { r.skip(1) }
    let number = r.ue()
    guard number < 64, pictures[Int(number)].isPresent else { return nil }
    r.skip(pictures[Int(number)].extraSliceBits)
    let type = r.ue()
    guard !r.failed else { return nil }
    return type == 0 ? .b : type == 1 ? .p : type == 2 ? .i : nil
  }

  /// Up to `num_extra_slice_header_bits` (7.3.2.3).
  private mutating func readPictureSet(_ payload: UnsafeRawBufferPointer) -> Bool {
    var r = BitReader(payload)
    let number = r.ue()
    guard number < 64 else { return false }
    guard r.ue() < 16 else { return false }
    r.skip(2)
    let extra = Int(r.bits(3))
    guard !r.failed else { return false }
    pictures[Int(number)] = PictureSet(isPresent: true, extraSliceBits: extra)
    return true
  }

  /// Size, profile and level of a sequence parameter set (7.3.2.2).
  static func sequence(_ payload: UnsafeRawBufferPointer) -> StreamSyntax? {
    var r = BitReader(payload)
    r.skip(4)
    let subLayers = Int(r.bits(3))
    r.skip(1)
    // profile_tier_level (7.3.3): space and tier, the profile, flags; the level; the same for each sub-layer told.
    r.skip(3)
    let profile = Int(r.bits(5))
    r.skip(80)
    let level = Int(r.bits(8))
    var told: [(Bool, Bool)] = []
    for _ in 0..<subLayers { told.append((r.bit(), r.bit())) }
    if subLayers > 0 { r.skip(2 * (8 - subLayers)) }
    for (hasProfile, hasLevel) in told { r.skip((hasProfile ? 88 : 0) + (hasLevel ? 8 : 0)) }
    _ = r.ue()
    let chroma = r.ue()
    if chroma == 3 { r.skip(1) }
    var (width, height) = (Int(r.ue()), Int(r.ue()))
    if r.bit() {
      let horizontal = chroma == 1 || chroma == 2 ? 2 : 1
      let vertical = chroma == 1 ? 2 : 1
      width -= horizontal * (Int(r.ue()) + Int(r.ue()))
      height -= vertical * (Int(r.ue()) + Int(r.ue()))
    }
    guard !r.failed, (1...65536).contains(width), (1...65536).contains(height) else { return nil }
    var found = StreamSyntax(codec: .h265)
    found.width = width
    found.height = height
    found.profile = profile
    found.level = level
    return found
  }
}

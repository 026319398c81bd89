// SPDX-License-Identifier: Apache-2.0

/// Finds where access units of a stream with start codes end (H.264 7.4.1.2.3, H.265 7.4.2.4.4): before the first slice
/// of the next picture, or before the parameter sets, messages and delimiters that lead it in.
///
/// Remembers how far it has looked, so that a unit that comes in many pieces is walked once.
struct AnnexBCutter: Sendable {
  private let isHEVC: Bool
  /// Bytes at the front that were looked at; the next start code is searched from here.
  private var position = 0
  /// A start code was found; what stands before the first is skipped.
  private var hasBegun = false
  /// The unit at the front has a slice.
  private var hasSlice = false
  /// Where in its picture the last slice of H.264 began.
  private var lastBlock: UInt32 = 0

  init(isHEVC: Bool) { self.isHEVC = isHEVC }

  mutating func restart() { self = AnnexBCutter(isHEVC: isHEVC) }

  /// Whether the bytes at the front are a unit if nothing more comes.
  var endsInUnit: Bool { hasSlice }

  mutating func look(_ bytes: UnsafeRawBufferPointer) -> AccessUnitSplitter.Cut {
    while true {
      guard let code = AnnexBUnits.startCode(in: bytes, from: position) else {
        // The last two bytes may be the beginning of a start code.
        position = max(position, bytes.count - 2)
        if !hasBegun {
          // Zeros before a start code belong to it.
          let rest = min(bytes.count, 3)
          return bytes.count > rest ? .skip(bytes.count - rest) : .more
        }
        return .more
      }
      let first = code > 0 && bytes[code - 1] == 0 ? code - 1 : code
      if !hasBegun {
        hasBegun = true
        if first > 0 {
          // Asked again with the start code at the front.
          hasBegun = false
          return .skip(first)
        }
      }
      // The kind and, of a slice, whether it is the first of its picture: two bytes with H.264, three with H.265; where in
      // its picture a slice of H.264 begins takes up to six more.
      let header = code + 3
      guard header + (isHEVC ? 3 : 2) <= bytes.count,
        isHEVC || !AnnexBCutter.isLaterSlice(bytes, header) || header + 8 <= bytes.count
      else {
        position = code
        return .more
      }
      let kind = isHEVC ? hevcKind(bytes, header) : h264Kind(bytes, header)
      if hasSlice, kind == .firstSlice || kind == .leadIn, first > 0 {
        position = 0
        hasSlice = false
        hasBegun = false
        return .unit(first)
      }
      if kind == .firstSlice || kind == .slice { hasSlice = true }
      position = header
    }
  }

  private enum Kind { case firstSlice, slice, leadIn, other }

  /// Whether a slice of H.264 begins here that is not its picture's first: `first_mb_in_slice` 0 is coded as a single 1.
  private static func isLaterSlice(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> Bool {
    switch bytes[at] & 31 {
    case 1, 2, 5: bytes[at + 1] & 0x80 == 0
    default: false
    }
  }

  private mutating func h264Kind(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> Kind {
    switch bytes[at] & 31 {
    case 1, 2, 5:
      var r = BitReader(UnsafeRawBufferPointer(rebasing: bytes[(at + 1)..<min(bytes.count, at + 8)]))
      let block = r.ue()
      // Slices follow each other down the picture: one that does not is of the next, whose first was lost.
      let isNext = block == 0 || (hasSlice && block <= lastBlock)
      lastBlock = block
      return isNext ? .firstSlice : .slice
    case 6...9, 14...18: return .leadIn
    default: return .other
    }
  }

  private func hevcKind(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> Kind {
    // Layers above the base belong to the picture of the base layer.
    let layer = Int(bytes[at] & 1) << 5 | Int(bytes[at + 1] >> 3)
    switch bytes[at] >> 1 & 63 {
    case 0...31: return layer == 0 && bytes[at + 2] & 0x80 != 0 ? .firstSlice : .slice
    case 32...35, 39, 41...44, 48...55: return layer == 0 ? .leadIn : .other
    default: return .other
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import CDRM

/// What a plane's `IN_FORMATS` blob says (kernel: `drm_format_modifier_blob`).
public enum PlaneFormats {
  /// The formats the plane takes in plain lines, modifier 0.
  public static func linear(_ blob: [UInt8]) -> [UInt32] {
    blob.withUnsafeBytes { bytes -> [UInt32] in
      guard bytes.count >= MemoryLayout<drm_format_modifier_blob>.size else { return [] }
      let head = bytes.loadUnaligned(as: drm_format_modifier_blob.self)
      let entry = MemoryLayout<drm_format_modifier>.size
      guard Int(head.formats_offset) + 4 * Int(head.count_formats) <= bytes.count,
        Int(head.modifiers_offset) + entry * Int(head.count_modifiers) <= bytes.count
      else { return [] }
      var found: [UInt32] = []
      for index in 0..<Int(head.count_modifiers) {
        let modifier = bytes.loadUnaligned(
          fromByteOffset: Int(head.modifiers_offset) + index * entry, as: drm_format_modifier.self)
        guard modifier.modifier == 0 else { continue }
        for bit in 0..<64 where modifier.formats >> UInt64(bit) & 1 != 0 {
          let place = Int(modifier.offset) + bit
          guard place < Int(head.count_formats) else { break }
          found.append(bytes.loadUnaligned(fromByteOffset: Int(head.formats_offset) + 4 * place, as: UInt32.self))
        }
      }
      return found
    }
  }
}

/// What a monitor says of itself (VESA EDID 1.4, §3.10.3: display descriptors).
public enum EDID {
  /// The product name, else maker and number as `GSM-5b08`; `nil` when there is no EDID.
  public static func name(_ bytes: [UInt8]) -> String? {
    guard bytes.count >= 128, bytes[0] == 0, bytes[1..<7].allSatisfy({ $0 == 0xff }), bytes[7] == 0 else { return nil }
    for start in stride(from: 54, through: 108, by: 18)
    where bytes[start] == 0 && bytes[start + 1] == 0 && bytes[start + 3] == 0xfc {
      let text = bytes[(start + 5)..<(start + 18)].prefix { $0 != 0x0a }
      let name = String(decoding: text.map { (0x20..<0x7f).contains($0) ? $0 : 0x3f }, as: UTF8.self)
      if !name.allSatisfy({ $0 == " " }) { return name }
    }
    let maker = UInt16(bytes[8]) << 8 | UInt16(bytes[9])
    let letters = [10, 5, 0].map { Character(Unicode.Scalar(UInt8(0x40 + (maker >> UInt16($0) & 31)))) }
    let number = String(UInt16(bytes[11]) << 8 | UInt16(bytes[10]), radix: 16)
    return String(letters) + "-" + String(repeating: "0", count: max(0, 4 - number.count)) + number
  }
}

extension DRMCard {
  /// What the monitor on a connector calls itself; `nil` where it does not tell.
  public func monitor(of connector: UInt32) -> String? {
    guard let property = (try? properties(of: connector, .connector))?["EDID"],
      let bytes = try? blob(UInt32(truncatingIfNeeded: property.value))
    else { return nil }
    return EDID.name(bytes)
  }
}

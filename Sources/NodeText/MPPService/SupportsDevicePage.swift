// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `supports-device`: the kinds of codec block there are, by their number among the vendor's client types.
///
/// A line stands for a kind whose work something here does, a device or software: what the vendor's library would look for
/// before it codes or decodes a format. None has `HW_ID:`, since no block of these kinds is there.
public enum SupportsDevicePage {
  static let page = Page("mpp_service/supports-device", capacity: 256, "kinds of codec whose work is done here") {
    write($0.coding, to: &$1)
  }

  private struct Kind {
    let number: Int
    let name: StaticString
    let encodes: Set<CodedFormat>
    let decodes: Set<CodedFormat>
  }

  /// By number. What a block of the kind does on boards: VDPU2 VP8, RKVDEC H.264 and H.265, RKVENC both; JPEG has blocks of
  /// its own. FWHT has none.
  private static let kinds = [
    Kind(number: 1, name: "VDPU2", encodes: [], decodes: [.vp8]),
    Kind(number: 9, name: "RKVDEC", encodes: [], decodes: [.h264, .h265]),
    Kind(number: 13, name: "RKJPEGD", encodes: [], decodes: [.mjpeg]),
    Kind(number: 16, name: "RKVENC", encodes: [.h264, .h265], decodes: []),
    Kind(number: 20, name: "RKJPEGE", encodes: [.mjpeg], decodes: []),
  ]

  /// A row of the page.
  public struct Row: Sendable {
    /// Number among the vendor's client types.
    public var number: Int
    public var name: String
    /// 0 where there is none.
    public var hardwareID: UInt32

    public init(number: Int, name: String, hardwareID: UInt32 = 0) {
      self.number = number
      self.name = name
      self.hardwareID = hardwareID
    }
  }

  /// Writes the page.
  public static func write(_ coding: CodingReport, to out: inout TextWriter) {
    let (encodes, decodes) = (Set(coding.encodes), Set(coding.decodes))
    let there = kinds.filter { !$0.encodes.isDisjoint(with: encodes) || !$0.decodes.isDisjoint(with: decodes) }
    write(there.map { Row(number: $0.number, name: $0.name.description) }, to: &out)
  }

  /// Writes the page. A row without a hardware number ends in the blanks that fill its name's column.
  public static func write(_ rows: [Row], to out: inout TextWriter) {
    out.text("---- SUPPORT DEVICES ----\n")
    for row in rows {
      out.text("DEVICE[")
      out.right(row.number, 2)
      out.text("]:")
      out.left(row.name, 10)
      if row.hardwareID != 0 {
        out.text("HW_ID:0x")
        out.hexadecimal(row.hardwareID, digits: 8)
      }
      out.newline()
    }
  }
}

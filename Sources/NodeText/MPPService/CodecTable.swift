// SPDX-License-Identifier: Apache-2.0

import Reports

/// What an encoder does, as the vendor's pages about sessions show it: dashes, titles, values. A column is there when its
/// value is known.
enum CodecTable {
  private enum Cell {
    case number(Int)
    case text(String)
    case hundredths(Double)
  }

  static func write(_ index: Int, _ unit: String, _ encoder: EncoderReport, to out: inout TextWriter) {
    let cells = cells(index, unit, encoder)
    out.fill(0x2D, 108)
    out.text("\n|")
    for cell in cells {
      out.right(cell.title, 8)
      out.byte(0x7C)
    }
    out.text("\n|")
    for cell in cells {
      switch cell.value {
      case .number(let value): out.right(value, 8)
      case .text(let value): out.right(value, 8)
      case .hundredths(let value): out.hundredths(UInt64(max(0, value) * 100 + 0.5), width: 5)
      }
      out.byte(0x7C)
    }
    out.newline()
  }

  private static func cells(
    _ index: Int, _ unit: String, _ encoder: EncoderReport
  ) -> [(title: StaticString, value: Cell)] {
    let attributes = encoder.attributes
    let rate = encoder.rateControl
    var cells: [(title: StaticString, value: Cell)] = [("session", .number(index)), ("device", .text(unit))]
    func add(_ title: StaticString, known value: Int?) {
      if let value, value > 0 { cells.append((title, .number(value))) }
    }
    add("width", known: attributes.width)
    add("height", known: attributes.height)
    cells.append(("format", .text(attributes.codec.rawValue)))
    add("fps_in", known: attributes.sourceFrameRate)
    add("fps_out", known: attributes.targetFrameRate)
    cells.append(("rc_mode", .text(rate.mode.rawValue)))
    add("bitrate", known: rate.targetBitsPerSecond ?? rate.maximumBitsPerSecond)
    add("gop_size", known: rate.gop)
    cells.append(("fps_calc", .hundredths(attributes.measuredFrameRate)))
    if let profile = encoder.syntax.profile { cells.append(("profile", .text(profile))) }
    return cells
  }
}

extension EncoderSyntax {
  fileprivate var profile: String? {
    switch self {
    case .h264(let syntax): syntax.profile
    case .h265(let syntax): syntax.profile
    case .jpeg, .other: nil
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Reports

/// `vda/N/result`: what was seen in the last picture that was looked at; a line for each thing that moves, the largest first.
public enum ResultPage {
  static let page = ObjectPage("result", capacity: 1024, isShownEmpty: false) {
    if let found = $0.detection { write(found, to: &$1) }
  }

  /// Writes the page.
  public static func write(_ found: DetectionReport, to out: inout TextWriter) {
    guard let pts = found.pts else { return }
    out.text("pts: ")
    out.number(pts)
    out.text("\nmotion: ")
    out.number(found.isMoving ? 1 : 0)
    out.text("\nocclusion: ")
    out.number(found.isOccluded ? 1 : 0)
    out.text("\nalarm_pixels: ")
    out.number(found.alarmPixels)
    out.text("\nalarm_blocks: ")
    out.number(found.alarmBlocks)
    out.text(" of ")
    out.number(found.blocks)
    out.text("\nlargest_sad: ")
    out.number(found.largest)
    out.text("\nnoise_sad: ")
    out.number(found.noise)
    out.text("\ncovered_percent: ")
    if let percent = found.coveredPercent { out.number(percent) } else { out.text("N/A") }
    out.text("\nobjects: ")
    out.number(found.objects.count)
    out.newline()
    for (index, object) in found.objects.enumerated() {
      out.text("object_")
      out.number(index)
      out.text(": ")
      for (place, number) in [object.x, object.y, object.width, object.height].enumerated() {
        if place > 0 { out.byte(0x2c) }
        out.number(number)
      }
      out.text(" blocks=")
      out.number(object.blocks)
      out.newline()
    }
  }
}

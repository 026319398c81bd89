// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What FFmpeg, which had no part in making them, finds in streams and pictures.
enum Video {
  struct Frame {
    var isKey: Bool
    var type: String
    var size: Int
    var width: Int
    var height: Int
  }

  /// Decodes everything with all checks on; what FFmpeg complains about, which is nothing for a good stream.
  static func complaints(_ file: String, _ format: String = "h264") throws -> String {
    let outcome = try run(
      "ffmpeg", "-v", "repeat+error", "-err_detect", "+crccheck+bitstream+buffer", "-f", format, "-i", file,
      "-fps_mode",
      "passthrough", "-f", "null", "-")
    // The stream says its new rate after a change of it, and FFmpeg's own clock of a raw stream stumbles over that.
    let errors = outcome.errors.split(separator: "\n").filter {
      !$0.contains("non monotonically increasing dts to muxer")
    }.map { $0 + "\n" }.joined()
    return outcome.status == 0 ? errors : "status \(outcome.status): \(errors)"
  }

  static func frames(_ file: String, _ format: String = "h264") throws -> [Frame] {
    let outcome = try run(
      "ffprobe", "-v", "error", "-f", format, "-show_entries", "frame=key_frame,pkt_size,width,height,pict_type", "-of",
      "csv=p=0", file)
    return outcome.lines.compactMap { line in
      let cells = line.split(separator: ",").map(String.init)
      guard cells.count >= 5, let size = Int(cells[1]), let width = Int(cells[2]), let height = Int(cells[3]) else {
        return nil
      }
      return Frame(isKey: cells[0] == "1", type: cells[4], size: size, width: width, height: height)
    }
  }

  /// Numbers of the test pattern's frames, read from the row of cells along the bottom edge; `nil` where none can be
  /// read. See `PatternCode` in Codecs: 37 cells, each a 40th of the original width, white and black, 32 bits, parity,
  /// black and white.
  static func patternNumbers(
    _ file: String, _ format: String = "h264", width: Int, height: Int, originalWidth: Int? = nil
  ) throws -> [Int?] {
    let original = originalWidth ?? width
    let cell = Double(original / 40 & ~1) * Double(width) / Double(original)
    let cellHeight = Double(max(8, min(32, original / 40 & ~1))) * Double(width) / Double(original)
    let row = height - Int((cellHeight + 1) / 2)
    let outcome = try run(
      "ffmpeg", "-v", "error", "-f", format, "-i", file, "-fps_mode", "passthrough", "-vf",
      "format=gray,crop=\(width):1:0:\(row)", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    let bytes = [UInt8](outcome.output)
    return stride(from: 0, to: bytes.count - width + 1, by: width).map { start in
      let bits = (0..<37).map { index -> Bool in
        let from = Int((Double(index) + 0.25) * cell)
        let to = max(from + 1, Int((Double(index) + 0.75) * cell))
        let cells = bytes[(start + from)..<min(start + to, start + width)]
        return cells.reduce(0) { $0 + Int($1) } > 125 * cells.count
      }
      guard bits[0], !bits[1], !bits[35], bits[36] else { return nil }
      let number = bits[2..<34].reduce(0) { $0 << 1 | ($1 ? 1 : 0) }
      return bits[34] == (number.nonzeroBitCount % 2 == 1) ? number : nil
    }
  }

  /// Width and height of a JPEG file; fails the test when FFmpeg cannot decode it.
  static func jpegSize(_ file: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> (Int, Int) {
    let complaints = try complaints(file, "mjpeg")
    #expect(complaints.isEmpty, "\(complaints)", sourceLocation: sourceLocation)
    let frame = try frames(file, "mjpeg").first
    return (frame?.width ?? 0, frame?.height ?? 0)
  }
}

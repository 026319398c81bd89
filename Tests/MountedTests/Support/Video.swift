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

/// A reader of a stream: `cat STREAM > FILE` in the background. It has the stream open when it is made, so that it gets what
/// comes from then on, and it goes before all others that want a processor, so that it keeps up.
final class Recording {
  let file: String
  /// As `cat` is, but on SIGINT it ends between two reads: what it has read is written, and no picture is cut.
  let cat: Child
  private let page: String
  /// Number of the encoder whose stream it is.
  private let encoder: Int?

  init(_ served: Served, _ node: String) throws {
    file = served.scratch + "/" + UUID().uuidString
    page = served.path("venc_info")
    encoder = node.firstMatch(of: /^venc\/([0-9]+)\//).flatMap { Int($0.1) }
    let script = #"exec 3< "$1" && echo open && exec dd bs=256K status=none <&3 > "$2""#
    cat = try Child(["nice", "-n", "-15", "sh", "-c", script, "sh", served.path(node), file])
    let cat = cat
    let isOpen = eventually { cat.outputSize > 0 || !cat.isRunning }
    #expect(isOpen, "\(node) is not opened")
  }

  var size: Int {
    ((try? FileManager.default.attributesOfItem(atPath: file))?[.size] as? Int) ?? 0
  }

  /// Stops reading once all that was there has been read, and waits until the reader is gone.
  func stop() {
    catchUp()
    cat.signal(SIGINT)
    // In the moment before a read it sees the signal after that, and where nothing comes any more there is nothing to cut.
    if cat.ended(within: 10) == nil {
      cat.signal(SIGTERM)
      cat.ended()
    }
  }

  /// Waits until no coded picture waits for a reader, whole or in part. Where another reader stands still they do for ever:
  /// it gives up then, and what is missing is the test's to find.
  private func catchUp() {
    guard let encoder else { return }
    _ = try? eventually(within: 20, longestPause: 20_000) {
      let outcome = try run("cat", page)
      let status = EncoderPage(outcome.text)
      let counts = ["strm_cnt", "strm_out"].map { status.number(encoder, "venc chn runing status", $0) ?? 0 }
      return outcome.status != 0 || !cat.isRunning || counts == [0, 0]
    }
  }

  /// Stops a recording of JPEG pictures and keeps the whole ones: the reader was in the middle of one, maybe.
  func stopAtImage() throws {
    stop()
    var bytes = try Data(contentsOf: .init(filePath: file))
    let end = try #require(bytes.range(of: Data([0xFF, 0xD9]), options: .backwards)).upperBound
    bytes.removeSubrange(end...)
    try bytes.write(to: .init(filePath: file))
  }
}

/// A reader that reads a little, then nothing until told to, then on to the end of the stream.
final class StallingReader {
  let file: String
  private let signal: String
  private let program: Child

  init(_ served: Served, _ node: String) throws {
    file = served.scratch + "/" + UUID().uuidString
    signal = file + ".go"
    program = try Child([
      "python3", "-c",
      """
      import os, sys, time
      fd = os.open(sys.argv[1], os.O_RDONLY)
      print('open', flush=True)
      out = open(sys.argv[2], 'wb')
      out.write(os.read(fd, 2000)); out.flush()
      while not os.path.exists(sys.argv[3]): time.sleep(0.05)
      while True:
          data = os.read(fd, 65536)
          if not data: break
          out.write(data)
      """, served.path(node), file, signal,
    ])
    let program = program
    let isOpen = eventually { program.outputSize > 0 || !program.isRunning }
    #expect(isOpen, "\(node) is not opened")
  }

  var errors: String { program.errors }

  func goOn(sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(FileManager.default.createFile(atPath: signal, contents: nil), sourceLocation: sourceLocation)
  }

  func ended() -> Int32? { program.ended() }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

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
    _ = eventually { cat.outputSize > 0 || !cat.isRunning }
    #expect(cat.outputSize > 0, "\(node) is not opened: \(cat.errors)")
  }

  var size: Int { Served.size(of: file) }

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
    _ = try? eventually(within: 10, longestPause: 20_000) {
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

/// The pictures that are in a recording. What a channel has given says nothing of what its reader has come to write, nor
/// whether the last picture in the file is whole: both are asked of the file.
extension Recording {
  /// Where pictures of a coded stream begin, with the parameter sets and messages before them.
  /// - Parameters:
  ///   - format: `h264`, `hevc` or `mjpeg`.
  ///   - limit: so many are enough.
  static func beginnings(_ bytes: Data, _ format: String, upTo limit: Int = .max) -> [Int] {
    var found: [Int] = []
    var at = bytes.startIndex
    if format == "mjpeg" {
      while found.count < limit, let mark = bytes.range(of: Data([0xFF, 0xD8, 0xFF]), in: at..<bytes.endIndex) {
        found.append(mark.lowerBound)
        at = mark.upperBound
      }
      return found
    }
    let isHEVC = format == "hevc"
    let header = isHEVC ? 2 : 1
    /// Begins what goes before a picture.
    var front: Int?
    while found.count < limit, let mark = bytes.range(of: Data([0, 0, 1]), in: at..<bytes.endIndex) {
      at = mark.upperBound
      guard at + header < bytes.endIndex else { break }
      let type = isHEVC ? (bytes[at] >> 1) & 63 : bytes[at] & 31
      let isSlice = isHEVC ? type < 32 : type == 1 || type == 5
      if isSlice {
        // Only the first slice of a picture begins at its first block, which this bit says.
        if bytes[at + header] & 0x80 != 0 { found.append(front ?? mark.lowerBound) }
        front = nil
      } else if front == nil {
        front = mark.lowerBound
      }
    }
    return found
  }

  private var bytes: Data { (try? Data(contentsOf: .init(filePath: file))) ?? Data() }

  /// Waits until so many whole pictures are in the file: the next one has begun.
  func has(_ count: Int, _ format: String = "h264") -> Bool {
    eventually(longestPause: 100_000) { Self.beginnings(bytes, format, upTo: count + 1).count > count }
  }

  /// Stops reading and keeps the whole pictures: the reader may have been ended in the middle of the last one.
  func stopAtPicture(_ format: String = "h264", sourceLocation: SourceLocation = #_sourceLocation) throws {
    stop()
    var bytes = self.bytes
    let last = try #require(
      Self.beginnings(bytes, format).last, "no picture was recorded", sourceLocation: sourceLocation)
    bytes.removeSubrange(last...)
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
    _ = eventually { program.outputSize > 0 || !program.isRunning }
    #expect(program.outputSize > 0, "\(node) is not opened: \(program.errors)")
  }

  var errors: String { program.errors }

  func goOn(sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(FileManager.default.createFile(atPath: signal, contents: nil), sourceLocation: sourceLocation)
  }

  func ended() -> Int32? { program.ended() }
}

extension Served {
  /// Does what reads pictures, and again where it is told that no frame came in the two seconds in which the program waits for
  /// one, or is given the empty page of an object that starves: a busy machine may stand still for so long. Where no frame
  /// comes at all, that is what comes of it.
  /// - Parameter file: that the picture is put into.
  func whenFramesCome(into file: String? = nil, _ body: () throws -> Child.Outcome) throws -> Child.Outcome {
    var outcome = try body()
    _ = try eventually {
      let isEmpty = outcome.status == 0 && file.map { Self.size(of: $0) == 0 } ?? false
      guard isEmpty || outcome.errors.contains("Resource temporarily unavailable") else { return true }
      outcome = try body()
      return false
    }
    return outcome
  }

  /// `cp OBJECT/snapshot.jpg` to a file of its own, which must succeed; of an object that runs.
  /// - Returns: the file.
  func snapshot(of object: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
    let file = scratch + "/\(UUID().uuidString).jpg"
    let copied = try whenFramesCome(into: file) { try run("cp", path("\(object)/snapshot.jpg"), file) }
    #expect(copied.status == 0, "snapshot of \(object): \(copied.errors)", sourceLocation: sourceLocation)
    return file
  }

  /// Bytes of a file; 0 where there is none.
  static func size(of file: String) -> Int {
    ((try? FileManager.default.attributesOfItem(atPath: file))?[.size] as? Int) ?? 0
  }
}

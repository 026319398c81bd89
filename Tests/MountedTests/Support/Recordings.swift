// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

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

extension Served {
  /// Does what reads pictures, and again where it is told that no frame came in the two seconds in which the program waits for
  /// one: a busy machine may stand still for so long. Where no frame comes at all, that is what comes of it.
  func whenFramesCome(_ body: () throws -> Child.Outcome) throws -> Child.Outcome {
    var outcome = try body()
    _ = try eventually {
      guard outcome.errors.contains("Resource temporarily unavailable") else { return true }
      outcome = try body()
      return false
    }
    return outcome
  }
}

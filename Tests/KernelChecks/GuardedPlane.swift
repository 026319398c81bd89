// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore

/// A plane that begins right behind, or ends right before, a page that nobody may touch: whoever reads or writes a byte outside of it
/// there stops the program. What lies between its lines is kept apart as well.
package final class GuardedPlane {
  static let untouched: UInt8 = 0xa5
  private static let page = 4096
  private let base: UnsafeMutableRawPointer
  private let mapped: Int
  package let start: UnsafeMutablePointer<UInt8>
  package let bytes: Int
  package let lines: Int
  package let stride: Int

  /// - Parameters:
  ///   - gap: bytes between lines.
  ///   - atEnd: the last byte is the last one before the page.
  package init(bytes: Int, lines: Int, gap: Int, atEnd: Bool) throws {
    stride = bytes + gap
    self.bytes = bytes
    self.lines = lines
    let size = stride * (lines - 1) + bytes
    let pages = (size + Self.page - 1) / Self.page * Self.page
    mapped = pages + 2 * Self.page
    guard let mapping = mmap(nil, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), mapping != MAP_FAILED,
      mprotect(mapping + Self.page, pages, PROT_READ | PROT_WRITE) == 0
    else { throw Failure(.noMemory, "mmap", on: "guarded plane") }
    base = mapping
    let first = mapping + Self.page + (atEnd ? pages - size : 0)
    start = first.assumingMemoryBound(to: UInt8.self)
    memset(first, CInt(Self.untouched), size)
  }

  deinit { munmap(base, mapped) }

  /// The lines, without what lies between.
  package var samples: [UInt8] { (0..<lines).flatMap { UnsafeBufferPointer(start: start + $0 * stride, count: bytes) } }

  /// Nobody wrote between the lines.
  package var gapsAreUntouched: Bool {
    (0..<lines - 1).allSatisfy { line in
      UnsafeBufferPointer(start: start + line * stride + bytes, count: stride - bytes).allSatisfy {
        $0 == Self.untouched
      }
    }
  }

  package func fill(_ sample: (_ line: Int, _ column: Int) -> UInt8) {
    for line in 0..<lines { for column in 0..<bytes { start[line * stride + column] = sample(line, column) } }
  }
}

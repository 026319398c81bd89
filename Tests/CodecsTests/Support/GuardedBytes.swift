// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore

/// Memory between two pages that nobody may touch: whoever reads a byte before or behind what it was given stops the program.
final class GuardedBytes {
  private static let page = 4096
  private let base: UnsafeMutableRawPointer
  private let size: Int

  /// - Parameter capacity: most bytes that are put into it.
  init(capacity: Int) throws {
    size = (capacity + Self.page - 1) / Self.page * Self.page
    guard let mapped = mmap(nil, size + 2 * Self.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      mapped != MAP_FAILED, mprotect(mapped + Self.page, size, PROT_READ | PROT_WRITE) == 0
    else { throw Failure(.noMemory, "mmap", on: "guarded bytes") }
    base = mapped
  }

  deinit { munmap(base, size + 2 * Self.page) }

  /// Gives the bytes where they end with the last byte that may be read, then where they begin with the first one.
  func each(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> Void) rethrows {
    precondition(bytes.count <= size)
    for start in [base + Self.page + size - bytes.count, base + Self.page] {
      bytes.withUnsafeBytes { if let from = $0.baseAddress { start.copyMemory(from: from, byteCount: bytes.count) } }
      try body(UnsafeRawBufferPointer(start: start, count: bytes.count))
    }
  }
}

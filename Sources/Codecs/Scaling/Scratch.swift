// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore

/// Memory for one intermediate plane; grows to the largest size asked and stays, so that after the first picture
/// nothing is allocated. Owns its bytes.
struct Scratch: ~Copyable {
  private var base: UnsafeMutablePointer<UInt8>?
  private var capacity = 0

  init() {}

  deinit { free(base) }

  /// A plane of `lines` lines of `bytes` bytes each; its content is undefined. Valid until the next call.
  /// Lines start on 64-byte boundaries.
  /// - Throws: ENOMEM.
  mutating func plane(bytes: Int, lines: Int) throws(Failure) -> PlanePointer {
    let stride = (bytes + 63) & ~63
    let needed = max(64, stride * lines)
    if let base, needed <= capacity { return PlanePointer(base: base, stride: Int32(stride)) }
    free(base)
    base = nil
    capacity = 0
    guard let memory = aligned_alloc(64, needed) else {
      throw Failure(.noMemory, "aligned_alloc", on: "picture", "\(needed) bytes")
    }
    let fresh = memory.assumingMemoryBound(to: UInt8.self)
    base = fresh
    capacity = needed
    return PlanePointer(base: fresh, stride: Int32(stride))
  }
}

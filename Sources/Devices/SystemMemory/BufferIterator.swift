// SPDX-License-Identifier: Apache-2.0
internal import CBPF
internal import SystemPackage

/// The program that the kernel runs for each DMA-BUF (`iter/dmabuf`, Linux 6.16 and newer), loaded, and the list it fills. Of one
/// thread.
struct BufferIterator: ~Copyable {
  private let list: OpaquePointer
  /// So many buffers the list holds.
  let capacity: Int

  struct Refused: Error {
    var errno: Errno
    /// What was missing or refused, in words.
    var reason: String
  }

  /// - Throws: EMFILE and ENFILE where there is no descriptor for it, ENOSYS where this build is without, else what the kernel or libbpf
  ///   said.
  init(capacity: Int) throws(Refused) {
    var made: OpaquePointer?
    var words = [CChar](repeating: 0, count: 512)
    let result = mpifs_bpf_open(UInt32(clamping: capacity), &made, &words, words.count)
    guard result == 0, let made else {
      let text = words.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      throw Refused(errno: Errno(rawValue: -result), reason: String(decoding: text, as: UTF8.self))
    }
    list = made
    self.capacity = capacity
  }

  deinit { mpifs_bpf_close(list) }

  /// Goes through all buffers once.
  /// - Returns: how many there are, which may be more than the list holds, and the list; valid until the next look.
  borrowing func look() throws(Errno) -> (seen: Int, records: UnsafeRawBufferPointer) {
    let seen = mpifs_bpf_look(list)
    guard seen >= 0 else { throw Errno(rawValue: CInt(clamping: -seen)) }
    let count = min(Int(seen), capacity)
    return (
      Int(seen),
      UnsafeRawBufferPointer(start: mpifs_bpf_records(list), count: count * MemoryLayout<mpifs_bpf_record>.stride)
    )
  }
}

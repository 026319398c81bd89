// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// This process's memory as the kernel counts it.
public struct ProcessMemory: Sendable {
  /// Bytes in main memory, of all kinds.
  public var resident: UInt64
  /// Those of them that lie in files and shared memory: program and libraries, and the media buffers.
  public var shared: UInt64

  /// From `/proc/self/statm` (proc(5)); `nil` where there is none.
  public static func now() -> ProcessMemory? {
    let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return withUnsafeTemporaryAllocation(byteCount: 128, alignment: 1) { buffer in
      let count = read(file, buffer.baseAddress, buffer.count)
      guard count > 0 else { return nil }
      // Pages: size, resident, shared, and more.
      let text = String(decoding: buffer[..<count], as: UTF8.self)
      let numbers = text.split(separator: " ").prefix(3).compactMap { UInt64($0) }
      guard numbers.count == 3 else { return nil }
      let page = UInt64(sysconf(Int32(_SC_PAGESIZE)))
      return ProcessMemory(resident: numbers[1] * page, shared: numbers[2] * page)
    }
  }
}

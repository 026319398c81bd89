// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What of the machine's memory could be had without anything being swapped out.
public enum SpareMemory {
  /// Bytes, `MemAvailable` of `/proc/meminfo` (proc(5)); `nil` where the kernel does not tell.
  public static func now(in path: String = "/proc/meminfo") -> Int? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
      let count = read(file, buffer.baseAddress, buffer.count)
      guard count > 0 else { return nil }
      return available(String(decoding: buffer[..<count], as: UTF8.self))
    }
  }

  /// From the text of it.
  static func available(_ text: String) -> Int? {
    for line in text.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
      let words = line.dropFirst(13).split(separator: " ")
      guard words.count == 2, words[1] == "kB", let kilobytes = Int(words[0]), kilobytes >= 0 else { return nil }
      let (bytes, isOver) = kilobytes.multipliedReportingOverflow(by: 1024)
      return isOver ? nil : bytes
    }
    return nil
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LinuxMedia

/// Who has a DRM card open, from debugfs (kernel: `drm_debugfs.c`, `clients`). Only root sees it, and not on every
/// kernel.
enum DRMClients {
  /// The one who may set modes: `modetest (pid 123)`.
  static func master(of path: String, kernel: any Kernel) -> String? {
    let number = path.drop { !("0"..."9").contains($0) }
    guard !number.isEmpty,
      let file = try? Descriptor(opening: "/sys/kernel/debug/dri/\(number)/clients", O_RDONLY, kernel: kernel)
    else { return nil }
    var bytes = [UInt8](repeating: 0, count: 8192)
    let count = bytes.withUnsafeMutableBytes { kernel.read(file.raw, $0) }
    guard count > 0 else { return nil }
    return master(in: String(decoding: bytes[..<Int(count)], as: UTF8.self))
  }

  /// Lines of `command  tgid dev master a uid magic`; a command may have blanks in it.
  static func master(in text: String) -> String? {
    let lines = text.split(separator: "\n")
    guard let header = lines.first?.split(separator: " ").map(String.init),
      let column = header.firstIndex(of: "master"), let pid = header.firstIndex(of: "tgid")
    else { return nil }
    for line in lines.dropFirst() {
      let words = line.split(separator: " ")
      // From the end, where no field has blanks.
      let extra = words.count - header.count
      guard extra >= 0, words[column + extra] == "y" else { continue }
      return "\(words[..<(pid + extra)].joined(separator: " ")) (pid \(words[pid + extra]))"
    }
    return nil
  }
}

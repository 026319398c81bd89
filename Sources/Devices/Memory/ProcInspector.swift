// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import LinuxMedia
public import MediaCore
internal import Reports
import Synchronization
internal import SystemPackage

/// Reads `/proc` (proc(5)): what descriptors are, and for DMA-BUFs what their `fdinfo` says (kernel: `dma_buf_show_fdinfo`).
///
/// Of other processes only links and texts are read, and nothing is followed: a descriptor of theirs may lead into a mount that
/// hangs.
public struct ProcInspector: MemoryInspector {
  private let root: String
  private let kernel: any Kernel
  private let scanner: Scanner

  /// One scanner for all checks: it remembers what it saw.
  private final class Scanner: Sendable {
    private let scanner: Mutex<MemoryScanner>

    init(_ root: String) { scanner = Mutex(MemoryScanner(KernelRoots(processes: root))) }

    func look() throws(Errno) -> MemoryScan {
      try scanner.withLock { (scanner) throws(Errno) in try scanner.look(.holders) }
    }
  }

  /// - Parameter root: in place of `/proc`.
  public init(root: String = "/proc", kernel: any Kernel = LinuxKernel()) {
    self.root = root
    self.kernel = kernel
    scanner = Scanner(root)
  }

  /// What the link of a DMA-BUF begins with.
  private static let link = "/dmabuf:"

  public func descriptors() throws(Failure) -> [HeldDescriptor] {
    guard let directory = opendir("\(root)/self/fd") else {
      throw Failure(Errno(rawValue: Glibc.errno), "opendir", on: "\(root)/self/fd")
    }
    closedir(directory)
    let names = listDirectory("\(root)/self/fd")
    guard !names.isEmpty else {
      throw Failure(.noSuchFileOrDirectory, "readdir", on: "\(root)/self/fd", "the kernel does not tell")
    }
    var found: [HeldDescriptor] = []
    for descriptor in names.compactMap({ CInt($0) }).sorted() {
      guard let target = Self.target("\(root)/self/fd/\(descriptor)") else { continue }
      guard target.hasPrefix(Self.link) else {
        // Our own may be asked; what only lies in memory answers at once.
        guard target.hasPrefix("/memfd:"), let inode = try? DMABuf.inode(descriptor, subject: target, kernel: kernel)
        else { continue }
        found.append(HeldDescriptor(descriptor: descriptor, inode: inode))
        continue
      }
      guard let info = info("\(root)/self/fdinfo/\(descriptor)"),
        let inode = info.inode ?? (try? DMABuf.inode(descriptor, subject: target, kernel: kernel))
      else { continue }
      let name = info.name ?? String(target.dropFirst(Self.link.count))
      found.append(
        HeldDescriptor(
          descriptor: descriptor, inode: inode, buffer: .init(size: info.size ?? 0, count: info.count, name: name)))
    }
    return found
  }

  public func mappings(of inodes: Set<UInt64>) -> [UInt64: Int] {
    var found: [UInt64: Int] = [:]
    for line in (Self.text("\(root)/self/maps") ?? "").split(separator: "\n") {
      // Address, permissions, offset, device, inode, path.
      let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
      guard words.count >= 5, let inode = UInt64(words[4]), inodes.contains(inode) else { continue }
      // Inodes are numbered by file system.
      guard words.count > 5, words[5].contains("dmabuf") else { continue }
      found[inode, default: 0] += 1
    }
    return found
  }

  public func holders(
    of inodes: Set<UInt64>
  ) -> (found: [UInt64: [(process: Int32, name: String)]], unreadable: Int) {
    // Where there was no room to look, nobody was seen.
    guard let scan = try? scanner.look() else { return ([:], 0) }
    let names = Dictionary(scan.processes.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
    let own = getpid()
    var found: [UInt64: [(process: Int32, name: String)]] = [:]
    for buffer in scan.buffers where inodes.contains(buffer.inode) {
      for holder in buffer.holders where holder.process != own {
        let name = names[holder.process] ?? ""
        found[buffer.inode, default: []].append((holder.process, name.isEmpty ? "?" : name))
      }
    }
    return (found, scan.unreadable)
  }

  private func info(_ path: String) -> DescriptorInfo? {
    guard let text = Self.text(path) else { return nil }
    let info = DescriptorInfo(parsing: text)
    return info.isDMABuf ? info : nil
  }

  private static func target(_ path: String) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
      guard let base = buffer.baseAddress else { return nil }
      let count = readlink(path, base, buffer.count)
      return count > 0 ? String(decoding: buffer[..<count].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }
  }

  private static func text(_ path: String) -> String? {
    do {
      let file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
      defer { try? file.close() }
      var bytes: [UInt8] = []
      var chunk = [UInt8](repeating: 0, count: 16384)
      while bytes.count < 4 << 20 {
        let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
        if count == 0 { break }
        bytes += chunk[..<count]
      }
      return String(decoding: bytes, as: UTF8.self)
    } catch {
      return nil
    }
  }
}

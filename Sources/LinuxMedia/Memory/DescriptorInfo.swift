// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// What `/proc/PID/fdinfo/FD` says of a DMA-BUF (kernel: `dma_buf_show_fdinfo`).
public struct DescriptorInfo: Sendable, Equatable {
  public var flags: Int32 = 0
  /// Kernels before 5.14 do not say.
  public var inode: UInt64?
  public var size: Int?
  /// References to the buffer's file, the one made to read this already subtracted.
  public var count: Int?
  /// Who exported it. `nil`: not a DMA-BUF.
  public var exporter: String?
  public var name: String?

  public var isDMABuf: Bool { exporter != nil }

  public init(parsing text: some StringProtocol) {
    for line in text.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      switch line[..<colon] {
      case "flags": flags = Int32(value, radix: 8) ?? 0
      case "ino": inode = UInt64(value)
      case "size": size = Int(value)
      case "count": count = Int(value)
      case "exp_name": exporter = String(value)
      case "name": name = String(value)
      default: break
      }
    }
  }

  /// Reads the file of a descriptor of this process.
  public init(of fd: CInt, kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    let path = "/proc/self/fdinfo/\(fd)"
    let file = try Descriptor(opening: path, O_RDONLY, kernel: kernel)
    var bytes = [UInt8](repeating: 0, count: 1024)
    var length = 0
    while length < bytes.count {
      let offset = length
      let got = try checked("read", on: path) {
        bytes.withUnsafeMutableBytes { kernel.read(file.raw, UnsafeMutableRawBufferPointer(rebasing: $0[offset...])) }
      }
      if got == 0 { break }
      length += Int(got)
    }
    self.init(parsing: String(decoding: bytes[..<length], as: UTF8.self))
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// Operations on a DMA-BUF's descriptor (kernel: `dma-buf.rst`).
public enum DMABuf {
  /// Longest name in bytes; the kernel's limit is 32 with the terminating zero.
  public static let maximumNameLength = Int(mpifs_DMA_BUF_NAME_LEN) - 1

  /// Names the buffer, for `/proc/PID/fdinfo`, `bufinfo` and the link text of the descriptor. Longer names are cut.
  ///
  /// - Throws: EBUSY on kernels before 5.11 when a device is attached.
  public static func setName(_ fd: CInt, _ name: String, kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    // The argument is the string itself; its length is what the kernel copies.
    var bytes = Array(name.utf8.prefix(maximumNameLength))
    bytes.append(0)
    _ = try checked("DMA_BUF_SET_NAME", on: name) {
      bytes.withUnsafeMutableBytes { kernel.ioctl(fd, mpifs_DMA_BUF_SET_NAME_B, $0.baseAddress) }
    }
  }

  public enum Access: Sendable {
    case read, write
    fileprivate var flags: UInt64 {
      switch self {
      case .read: mpifs_DMA_BUF_SYNC_READ
      case .write: mpifs_DMA_BUF_SYNC_READ | mpifs_DMA_BUF_SYNC_WRITE
      }
    }
  }

  /// Before the CPU touches the pixels: makes what a device wrote visible.
  public static func begin(
    _ access: Access, _ fd: CInt, subject: @autoclosure () -> String, kernel: any Kernel = LinuxKernel()
  ) throws(KernelError) {
    try sync(access.flags | mpifs_DMA_BUF_SYNC_START, fd, subject: subject(), kernel)
  }

  /// After the CPU has touched the pixels: makes what it wrote visible to devices.
  public static func end(
    _ access: Access, _ fd: CInt, subject: @autoclosure () -> String, kernel: any Kernel = LinuxKernel()
  ) throws(KernelError) {
    try sync(access.flags | mpifs_DMA_BUF_SYNC_END, fd, subject: subject(), kernel)
  }

  private static func sync(
    _ flags: UInt64, _ fd: CInt, subject: @autoclosure () -> String, _ kernel: any Kernel
  ) throws(KernelError) {
    var argument = dma_buf_sync(flags: flags)
    _ = try checked("DMA_BUF_IOCTL_SYNC", on: subject()) {
      withUnsafeMutablePointer(to: &argument) { pointer -> CInt in
        // EAGAIN: a fence was interrupted; the kernel asks for the call again.
        while true {
          let result = kernel.ioctl(fd, mpifs_DMA_BUF_IOCTL_SYNC, pointer)
          if result != -EAGAIN { return result }
        }
      }
    }
  }

  /// Size in bytes; a DMA-BUF answers `lseek(SEEK_END)` with it.
  public static func size(
    _ fd: CInt, subject: @autoclosure () -> String, kernel: any Kernel = LinuxKernel()
  ) throws(KernelError) -> Int {
    Int(try checked("lseek", on: subject()) { kernel.seekEnd(fd) })
  }

  /// Inode: for a DMA-BUF a number unique since boot, the same whoever holds a descriptor.
  public static func inode(
    _ fd: CInt, subject: @autoclosure () -> String, kernel: any Kernel = LinuxKernel()
  ) throws(KernelError) -> UInt64 {
    var status = stat()
    _ = try checked("fstat", on: subject()) { kernel.status(fd, &status) }
    return UInt64(status.st_ino)
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import CLinux
public import Glibc

/// The one door to the kernel: every system call of this module goes through it.
///
/// Calls follow the kernel's own convention, a negative errno is a failure, and none retries. The real door is
/// ``LinuxKernel``; ``FaultInjector`` wraps a door and makes chosen calls fail; tests put a whole device behind it.
public protocol Kernel: Sendable {
  /// `open` with O_CLOEXEC added.
  func open(_ path: String, _ flags: CInt) -> CInt
  func close(_ fd: CInt) -> CInt
  func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt
  /// A shared mapping; the address, or a negative errno.
  func mmap(_ length: Int, _ protection: CInt, _ fd: CInt, _ offset: Int64) -> Int64
  func munmap(_ address: UnsafeMutableRawPointer, _ length: Int) -> CInt
  func poll(_ descriptors: UnsafeMutableBufferPointer<pollfd>, _ timeoutMilliseconds: CInt) -> CInt
  /// A sealable memfd, close-on-exec.
  func memfd(_ name: String) -> CInt
  func truncate(_ fd: CInt, _ length: Int64) -> CInt
  func addSeals(_ fd: CInt, _ seals: CInt) -> CInt
  func duplicate(_ fd: CInt) -> CInt
  /// A non-blocking eventfd, close-on-exec.
  func eventfd() -> CInt
  /// A non-blocking socket that receives the kernel's announcements of devices, close-on-exec.
  func uevents() -> CInt
  /// `lseek(fd, 0, SEEK_END)`: for a DMA-BUF its size.
  func seekEnd(_ fd: CInt) -> Int64
  func status(_ fd: CInt, _ out: UnsafeMutablePointer<stat>) -> CInt
  func read(_ fd: CInt, _ bytes: UnsafeMutableRawBufferPointer) -> Int64
  func write(_ fd: CInt, _ bytes: UnsafeRawBufferPointer) -> Int64
}

/// The kernel itself.
public struct LinuxKernel: Kernel {
  public init() {}
  public func open(_ path: String, _ flags: CInt) -> CInt { mpifs_open(path, flags) }
  public func close(_ fd: CInt) -> CInt { mpifs_close(fd) }
  public func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    mpifs_ioctl(fd, request, argument)
  }
  public func mmap(_ length: Int, _ protection: CInt, _ fd: CInt, _ offset: Int64) -> Int64 {
    mpifs_mmap(length, protection, fd, offset)
  }
  public func munmap(_ address: UnsafeMutableRawPointer, _ length: Int) -> CInt { mpifs_munmap(address, length) }
  public func poll(_ descriptors: UnsafeMutableBufferPointer<pollfd>, _ timeoutMilliseconds: CInt) -> CInt {
    mpifs_poll(descriptors.baseAddress, UInt(descriptors.count), timeoutMilliseconds)
  }
  public func memfd(_ name: String) -> CInt { mpifs_memfd_create(name, UInt32(mpifs_MEMFD_FLAGS)) }
  public func truncate(_ fd: CInt, _ length: Int64) -> CInt { mpifs_ftruncate(fd, length) }
  public func addSeals(_ fd: CInt, _ seals: CInt) -> CInt { mpifs_add_seals(fd, seals) }
  public func duplicate(_ fd: CInt) -> CInt { mpifs_duplicate(fd) }
  public func eventfd() -> CInt { mpifs_eventfd() }
  public func uevents() -> CInt { mpifs_uevents() }
  public func seekEnd(_ fd: CInt) -> Int64 { mpifs_seek_end(fd) }
  public func status(_ fd: CInt, _ out: UnsafeMutablePointer<stat>) -> CInt { mpifs_fstat(fd, out) }
  public func read(_ fd: CInt, _ bytes: UnsafeMutableRawBufferPointer) -> Int64 {
    mpifs_read(fd, bytes.baseAddress, bytes.count)
  }
  public func write(_ fd: CInt, _ bytes: UnsafeRawBufferPointer) -> Int64 {
    mpifs_write(fd, bytes.baseAddress, bytes.count)
  }
}

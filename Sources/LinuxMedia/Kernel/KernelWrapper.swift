// SPDX-License-Identifier: Apache-2.0
public import Glibc

/// A door in front of another one: what it does not implement itself passes through.
public protocol KernelWrapper: Kernel {
  var inner: any Kernel { get }
}

extension KernelWrapper {
  public func open(_ path: String, _ flags: CInt) -> CInt { inner.open(path, flags) }
  public func close(_ fd: CInt) -> CInt { inner.close(fd) }
  public func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    inner.ioctl(fd, request, argument)
  }
  public func mmap(_ length: Int, _ protection: CInt, _ fd: CInt, _ offset: Int64) -> Int64 {
    inner.mmap(length, protection, fd, offset)
  }
  public func munmap(_ address: UnsafeMutableRawPointer, _ length: Int) -> CInt { inner.munmap(address, length) }
  public func poll(_ descriptors: UnsafeMutableBufferPointer<pollfd>, _ timeoutMilliseconds: CInt) -> CInt {
    inner.poll(descriptors, timeoutMilliseconds)
  }
  public func memfd(_ name: String) -> CInt { inner.memfd(name) }
  public func truncate(_ fd: CInt, _ length: Int64) -> CInt { inner.truncate(fd, length) }
  public func addSeals(_ fd: CInt, _ seals: CInt) -> CInt { inner.addSeals(fd, seals) }
  public func duplicate(_ fd: CInt) -> CInt { inner.duplicate(fd) }
  public func eventfd() -> CInt { inner.eventfd() }
  public func uevents() -> CInt { inner.uevents() }
  public func seekEnd(_ fd: CInt) -> Int64 { inner.seekEnd(fd) }
  public func status(_ fd: CInt, _ out: UnsafeMutablePointer<stat>) -> CInt { inner.status(fd, out) }
  public func read(_ fd: CInt, _ bytes: UnsafeMutableRawBufferPointer) -> Int64 { inner.read(fd, bytes) }
  public func write(_ fd: CInt, _ bytes: UnsafeRawBufferPointer) -> Int64 { inner.write(fd, bytes) }
}

extension Kernel {
  /// For doors to one device only: they announce nothing.
  public func uevents() -> CInt { -EPROTONOSUPPORT }
}

// SPDX-License-Identifier: Apache-2.0
public import Glibc
import Synchronization
public import SystemPackage

/// What a fault is planted on.
public enum KernelCall: Sendable, Hashable {
  case open, mmap, memfd, truncate, addSeals, duplicate, eventfd, uevents, seekEnd, status, read, write, poll
  case ioctl(UInt)
}

/// A door that makes chosen calls fail with a chosen errno a counted number of times, as `swift-system` does in its
/// own tests, and counts every call that passes. `close` and `munmap` always pass: nothing may leak in a test.
public final class FaultInjector: Kernel {
  private struct Rule {
    var call: KernelCall
    var errno: CInt
    var skip: Int
    var times: Int
  }
  private struct State {
    var rules: [Rule] = []
    var calls: [KernelCall: Int] = [:]
  }

  private let inner: any Kernel
  private let state = Mutex(State())

  public init(wrapping inner: any Kernel = LinuxKernel()) { self.inner = inner }

  /// Lets `after` such calls pass, then fails the next `times` of them.
  public func fail(_ call: KernelCall, with errno: Errno, times: Int = 1, after: Int = 0) {
    state.withLock { $0.rules.append(Rule(call: call, errno: errno.rawValue, skip: after, times: times)) }
  }

  /// How often the call was made, failed ones included.
  public func count(of call: KernelCall) -> Int { state.withLock { $0.calls[call, default: 0] } }

  /// Faults planted and not used up: a test that leaves some did not test what it says.
  public var pending: Int { state.withLock { $0.rules.reduce(0) { $0 + $1.times } } }

  private func fault(_ call: KernelCall) -> CInt? {
    state.withLock { state in
      state.calls[call, default: 0] += 1
      for index in state.rules.indices where state.rules[index].call == call {
        if state.rules[index].skip > 0 {
          state.rules[index].skip -= 1
          return nil
        }
        let errno = state.rules[index].errno
        state.rules[index].times -= 1
        if state.rules[index].times == 0 { state.rules.remove(at: index) }
        return -errno
      }
      return nil
    }
  }

  public func open(_ path: String, _ flags: CInt) -> CInt { fault(.open) ?? inner.open(path, flags) }
  public func close(_ fd: CInt) -> CInt { inner.close(fd) }
  public func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    fault(.ioctl(request)) ?? inner.ioctl(fd, request, argument)
  }
  public func mmap(_ length: Int, _ protection: CInt, _ fd: CInt, _ offset: Int64) -> Int64 {
    fault(.mmap).map(Int64.init) ?? inner.mmap(length, protection, fd, offset)
  }
  public func munmap(_ address: UnsafeMutableRawPointer, _ length: Int) -> CInt { inner.munmap(address, length) }
  public func poll(_ descriptors: UnsafeMutableBufferPointer<pollfd>, _ timeoutMilliseconds: CInt) -> CInt {
    fault(.poll) ?? inner.poll(descriptors, timeoutMilliseconds)
  }
  public func memfd(_ name: String) -> CInt { fault(.memfd) ?? inner.memfd(name) }
  public func truncate(_ fd: CInt, _ length: Int64) -> CInt { fault(.truncate) ?? inner.truncate(fd, length) }
  public func addSeals(_ fd: CInt, _ seals: CInt) -> CInt { fault(.addSeals) ?? inner.addSeals(fd, seals) }
  public func duplicate(_ fd: CInt) -> CInt { fault(.duplicate) ?? inner.duplicate(fd) }
  public func eventfd() -> CInt { fault(.eventfd) ?? inner.eventfd() }
  public func uevents() -> CInt { fault(.uevents) ?? inner.uevents() }
  public func seekEnd(_ fd: CInt) -> Int64 { fault(.seekEnd).map(Int64.init) ?? inner.seekEnd(fd) }
  public func status(_ fd: CInt, _ out: UnsafeMutablePointer<stat>) -> CInt {
    fault(.status) ?? inner.status(fd, out)
  }
  public func read(_ fd: CInt, _ bytes: UnsafeMutableRawBufferPointer) -> Int64 {
    fault(.read).map(Int64.init) ?? inner.read(fd, bytes)
  }
  public func write(_ fd: CInt, _ bytes: UnsafeRawBufferPointer) -> Int64 {
    fault(.write).map(Int64.init) ?? inner.write(fd, bytes)
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// An eventfd with which one thread ends another one's wait.
public struct WakeUp: ~Copyable, Sendable {
  private let descriptor: Descriptor

  public init(kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    let fd = try checked("eventfd", on: "wake-up") { kernel.eventfd() }
    descriptor = Descriptor(owning: fd, kernel: kernel)
  }

  public var raw: CInt { descriptor.raw }

  /// Makes the descriptor readable until it is read. Any thread.
  public func signal() {
    var one: UInt64 = 1
    // The only failure is a counter that is full, and a full counter is readable, which is all that is wanted.
    _ = uninterrupted { withUnsafeBytes(of: &one) { descriptor.kernel.write(descriptor.raw, $0) } }
  }

  /// Waits for a signal, which it does not clear.
  /// - Returns: false when the time ran out.
  public func wait(timeoutMilliseconds: Int32) throws(KernelError) -> Bool {
    var entry = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
    let ready = try checked("poll", on: "wake-up") {
      withUnsafeMutableBytes(of: &entry) { bytes in
        descriptor.kernel.poll(bytes.bindMemory(to: pollfd.self), timeoutMilliseconds)
      }
    }
    return ready > 0
  }

  /// Makes it unreadable again.
  public func clear() {
    var value: UInt64 = 0
    _ = uninterrupted { withUnsafeMutableBytes(of: &value) { descriptor.kernel.read(descriptor.raw, $0) } }
  }
}

/// What became of a wait.
public struct PollResult: Sendable, Equatable {
  /// `POLLIN`, `POLLOUT`, `POLLPRI`, `POLLERR`, `POLLHUP` of the device; 0 when the time ran out.
  public var events: Int32
  /// The other thread asked to stop waiting.
  public var woken: Bool

  public init(events: Int32 = 0, woken: Bool = false) {
    self.events = events
    self.woken = woken
  }

  public var timedOut: Bool { events == 0 && !woken }
  public var readable: Bool { events & Int32(POLLIN) != 0 }
  public var writable: Bool { events & Int32(POLLOUT) != 0 }
  public var priority: Bool { events & Int32(POLLPRI) != 0 }
  public var failed: Bool { events & Int32(POLLERR | POLLHUP | POLLNVAL) != 0 }
}

/// What a wait is for.
public struct PollInterest: OptionSet, Sendable {
  public let rawValue: Int16
  public init(rawValue: Int16) { self.rawValue = rawValue }
  /// A buffer to take from a CAPTURE queue.
  public static let readable = PollInterest(rawValue: Int16(POLLIN))
  /// A buffer to take from an OUTPUT queue.
  public static let writable = PollInterest(rawValue: Int16(POLLOUT))
  /// An event.
  public static let priority = PollInterest(rawValue: Int16(POLLPRI))
}

/// Waits for a device or a wake-up.
/// - Parameter timeoutMilliseconds: -1 for ever.
func wait(
  for interest: PollInterest, on fd: CInt, orWake wake: CInt, timeoutMilliseconds: CInt, kernel: any Kernel,
  subject: @autoclosure () -> String
) throws(KernelError) -> PollResult {
  var pair = (
    pollfd(fd: fd, events: interest.rawValue, revents: 0), pollfd(fd: wake, events: Int16(POLLIN), revents: 0)
  )
  let ready: CInt
  do {
    ready = withUnsafeMutableBytes(of: &pair) { bytes in
      uninterrupted { kernel.poll(bytes.bindMemory(to: pollfd.self), timeoutMilliseconds) }
    }
  }
  if ready < 0 { throw KernelError(.init(rawValue: -ready), "poll", on: subject()) }
  return PollResult(events: Int32(UInt16(bitPattern: pair.0.revents)), woken: pair.1.revents != 0)
}

// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
import Synchronization

/// The threads a C library made for itself during one call: named as ours are, and their processor time known, which is
/// spent for whoever waits for the library.
///
/// A thread begins with the name of the one that makes it. So the caller bears a name that nobody else has while the library
/// is called, and the threads that have it afterwards are the library's. Empty where there is no `/proc`.
public struct LibraryThreads: Sendable {
  private static let number = Atomic<UInt32>(0)
  private static let most = 64
  private var clocks: [ThreadClock] = []

  public init() {}

  /// - Parameter name: of the library, at most 8 bytes; a number is put behind it.
  public static func made(by name: String, during call: () -> Void) -> LibraryThreads {
    // Five digits: 15 bytes are what the kernel keeps.
    let unique = "\(name) \(number.wrappingAdd(1, ordering: .relaxed).newValue % 100_000)"
    var before = [CChar](repeating: 0, count: 16)
    mpifs_thread_name(&before)
    mpifs_name_thread(unique)
    call()
    mpifs_name_thread(before)
    var ids = [pid_t](repeating: 0, count: most)
    let count = mpifs_threads_named(unique, &ids, CInt(most))
    var threads = LibraryThreads()
    threads.clocks = ids.prefix(Int(max(0, count))).map(ThreadClock.init(ofThread:))
    return threads
  }

  public var count: Int { clocks.count }

  /// Processor time they have used, nanoseconds. While they live.
  public func processorTime() -> Int64 { clocks.reduce(0) { $0 + ($1.nanoseconds() ?? 0) } }
}

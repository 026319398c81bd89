// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Glibc
public import MediaCore
public import Reports
import Synchronization

/// The last 256 refusals and failures; those for one reason right after each other are one. Nothing fails silently: whoever
/// refuses a writer, or finds that something stopped working, records it here.
///
/// Its lock is held for an append or for taking the list, never while text is made; the frame path only comes here
/// when something broke.
public final class ErrorLog: Sendable {
  public static let capacity = 256
  /// Bytes of a written value that are kept.
  static let keptBytes = 256

  /// So many records back one for the same reason is still the same.
  private static let alikeWithin = 8

  private struct State {
    var records: Deque<RefusalRecord> = []
    var total: UInt64 = 0

    /// Takes out the record that says the same of other paths. Only what was tried at the tree's structure, without a value:
    /// that is what tools do to one path after the other.
    mutating func takeAlike(_ new: RefusalRecord) -> RefusalRecord? {
      guard new.errno != 0, new.value.isEmpty else { return nil }
      let index = records.indices.suffix(ErrorLog.alikeWithin).last { index in
        let old = records[index]
        return old.errno == new.errno && old.value.isEmpty && old.reason == new.reason && old.hint == new.hint
      }
      return index.map { records.remove(at: $0) }
    }
  }
  private let state = Mutex(State())

  public init() {}

  /// Records why somebody's change was not made.
  public func record(_ refusal: Refusal) {
    append(
      path: refusal.path, value: refusal.value, errno: refusal.errno.rawValue, reason: refusal.reason,
      hint: refusal.hint)
  }

  /// Records a failure nobody waited for, such as a device that went away.
  public func record(_ failure: Failure, path: String, hint: String = "") {
    append(path: path, value: [], errno: 0, reason: failure.description, hint: hint)
  }

  private func append(path: String, value: [UInt8], errno: CInt, reason: String, hint: String) {
    let cut = value.count > Self.keptBytes
    var record = RefusalRecord(
      clocks: ClockReading(monotonicMicroseconds: 0, realtimeMicroseconds: 0), path: path,
      value: cut ? Array(value.prefix(Self.keptBytes)) : value, valueLength: cut ? value.count : nil, errno: errno,
      errnoName: ErrnoName.of(errno), reason: reason, hint: hint.isEmpty ? nil : hint)
    state.withLock { state in
      // Inside the lock, so that the order of the records is the order of their times.
      record.clocks = ClockReading.now()
      state.total += 1
      if let alike = state.takeAlike(record) { record.others = alike.others + 1 }
      state.records.append(record)
      if state.records.count > Self.capacity { state.records.removeFirst() }
    }
  }

  /// What is kept, oldest first.
  public var records: [RefusalRecord] { Array(state.withLock { $0.records }) }

  /// All that were ever recorded; clearing does not reset it.
  public var total: UInt64 { state.withLock { $0.total } }

  public func clear() { state.withLock { $0.records = [] } }
}

extension ClockReading {
  /// Both clocks, read one right after the other.
  public static func now() -> ClockReading {
    func read(_ clock: clockid_t) -> Int64 {
      var time = timespec()
      clock_gettime(clock, &time)
      return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
    return ClockReading(
      monotonicMicroseconds: read(CLOCK_MONOTONIC), realtimeMicroseconds: read(CLOCK_REALTIME))
  }
}

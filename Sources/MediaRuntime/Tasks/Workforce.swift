// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization

/// Sums of a service's work up to one moment. None ever goes back. Times in nanoseconds.
struct WorkSums: Sendable, Equatable {
  /// CLOCK_MONOTONIC.
  var at: Int64 = 0
  /// Time of all workers in turns, with the turns that are not over.
  var busy: Int64 = 0
  /// Processor time of the workers' threads and of those that engines have of their own; of a device, the time in which one of its workers was in a turn.
  var utilised: Int64 = 0
  var turns: UInt64 = 0
  /// Tasks begun, and those that ended, by how.
  var tasks: UInt64 = 0
  var done: UInt64 = 0
  var failed: UInt64 = 0
  var timedOut: UInt64 = 0

  /// Adds another service's work; turns are each one's own.
  mutating func add(_ other: WorkSums) {
    busy += other.busy
    utilised += other.utilised
    tasks &+= other.tasks
    done &+= other.done
    failed &+= other.failed
    timedOut &+= other.timedOut
  }

  mutating func count(_ outcome: TaskOutcome, _ tasks: UInt64 = 1) {
    switch outcome {
    case .done: done &+= tasks
    case .failed: failed &+= tasks
    case .timedOut: timedOut &+= tasks
    }
  }
}

/// What one worker has done. Written by that worker, plain stores at each edge of a turn and of a task; read by anybody.
final class WorkerMeter: Sendable {
  private let block = CounterBlock(8)
  /// Time in turns that are over; within a turn that less its start, which is below 0: one word tells the time with the
  /// running turn, whenever it is read.
  private static let clockwork = 0
  private static let busy = 1
  private static let turns = 2
  private static let tasks = 3
  /// By outcome, side by side.
  private static let outcomes = 4
  /// Processor time of an engine's own threads, while this worker waited for them.
  private static let helped = 7
  private let clock: ThreadClock?

  /// The thread of one channel: its turns are waits for a file or a camera, so that what counts are its tasks.
  private let isOfTasks: Bool

  /// By the worker's own thread.
  init(ofTasks: Bool = false) {
    clock = ThreadClock.ofThisThread()
    isOfTasks = ofTasks
  }

  deinit { block.free() }

  @inline(__always) func begin(at now: Int64) {
    block.storeAlone(Self.turns, block[Self.turns] &+ 1)
    if !isOfTasks { wind(at: now) }
  }

  @inline(__always) private func wind(at now: Int64) {
    block.storeAlone(Self.clockwork, block[Self.busy] &- UInt64(bitPattern: now))
  }

  /// A task was begun.
  @inline(__always) func began(at now: Int64) {
    count(Self.tasks)
    works(at: now)
  }

  /// It has something to do that is no task, but counts as work.
  @inline(__always) func works(at now: Int64) {
    if isOfTasks { wind(at: now) }
  }

  /// No task runs any more.
  @inline(__always) func rests() {
    if isOfTasks, Int64(bitPattern: block[Self.clockwork]) < 0 { stop(at: Clock.now()) }
  }

  @inline(__always) func ended(_ outcome: TaskOutcome) {
    switch outcome {
    case .done: count(Self.outcomes)
    case .failed: count(Self.outcomes + 1)
    case .timedOut: count(Self.outcomes + 2)
    }
  }

  @inline(__always) private func count(_ index: Int) { block.storeAlone(index, block[index] &+ 1) }

  /// Threads of an engine did so much of its work.
  func helped(_ time: Int64) { block.storeAlone(Self.helped, block[Self.helped] &+ UInt64(max(0, time))) }

  @inline(__always) func end(at now: Int64) {
    if !isOfTasks { stop(at: now) }
  }

  @inline(__always) private func stop(at now: Int64) {
    let sum = block[Self.clockwork] &+ UInt64(bitPattern: now)
    block.storeAlone(Self.busy, sum)
    block.storeAlone(Self.clockwork, sum)
  }

  func add(to sums: inout WorkSums, processorTime: Bool) {
    let clockwork = Int64(bitPattern: block[Self.clockwork])
    let over = Int64(bitPattern: block[Self.busy])
    sums.busy += clockwork < 0 ? max(over, sums.at + clockwork) : clockwork
    sums.turns &+= block[Self.turns]
    sums.tasks &+= block[Self.tasks]
    sums.count(.done, block[Self.outcomes])
    sums.count(.failed, block[Self.outcomes + 1])
    sums.count(.timedOut, block[Self.outcomes + 2])
    if processorTime { sums.utilised += (clock?.nanoseconds() ?? 0) + Int64(bitPattern: block[Self.helped]) }
  }
}

/// The workers of a service and what they did, those that have ended included. Read without a lock.
struct Workforce: Sendable {
  private struct Members: Sendable {
    var meters: [WorkerMeter] = []
    /// Of those that have ended.
    var past = WorkSums()
  }
  private let members = Published(Members())

  /// By a worker that begins, on its own thread.
  /// - Parameter ofTasks: what counts are its tasks, not its turns.
  func join(ofTasks: Bool = false) -> WorkerMeter {
    let meter = WorkerMeter(ofTasks: ofTasks)
    members.update { members in
      var members = members
      members.meters.append(meter)
      return members
    }
    return meter
  }

  /// By a worker that ends, on its own thread, after its last turn.
  func leave(_ meter: WorkerMeter) {
    members.update { members in
      var members = members
      members.meters.removeAll { $0 === meter }
      meter.add(to: &members.past, processorTime: true)
      return members
    }
  }

  var turns: UInt64 { sums(at: 0, processorTime: false).turns }

  /// - Parameter processorTime: with the threads' processor time as `utilised`, which costs a system call for each.
  func sums(at now: Int64, processorTime: Bool) -> WorkSums {
    var sums = WorkSums()
    // A worker that ends meanwhile would count twice, or its clock be another thread's.
    for _ in 0..<8 {
      let edition = members.edition
      sums = edition.value.past
      sums.at = now
      if !processorTime { sums.utilised = 0 }
      for meter in edition.value.meters { meter.add(to: &sums, processorTime: processorTime) }
      if members.edition === edition { break }
    }
    return sums
  }
}

/// For how long at least one of several workers was in a turn: what a device that they share was used. For turns as long as a
/// device's frame; the workers exclude each other for a few stores.
struct SharedTime: ~Copyable, Sendable {
  private let block = CounterBlock(3)
  private static let inside = 0
  private static let since = 1
  private static let total = 2

  deinit { block.free() }

  func enter(at now: Int64) {
    block.begin()
    if block[Self.inside] == 0 { block[Self.since] = UInt64(bitPattern: now) }
    block[Self.inside] = block[Self.inside] &+ 1
    block.end()
  }

  func leave(at now: Int64) {
    block.begin()
    block[Self.inside] = block[Self.inside] &- 1
    if block[Self.inside] == 0 {
      let time = now &- Int64(bitPattern: block[Self.since])
      block[Self.total] = block[Self.total] &+ UInt64(max(0, time))
    }
    block.end()
  }

  func nanoseconds(at now: Int64) -> Int64 {
    block.read { block in
      let total = Int64(bitPattern: block[Self.total])
      return block[Self.inside] == 0 ? total : total + max(0, now &- Int64(bitPattern: block[Self.since]))
    }
  }
}

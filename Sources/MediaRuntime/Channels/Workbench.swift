// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore

/// One thread of low priority on which pictures to be drawn are made ready: bitmaps read, texts rendered, drawings prepared.
/// What it does is never waited for on a frame's path.
///
/// Work is done in the order it was asked for; all that is there at a time, and then what came of it is shown at once. Where a
/// transaction began meanwhile, its settings may have been seen in part: nothing is shown then until it is over and what it asks for is done too. The
/// thread is made with the first of the work.
final class Workbench: Sendable {
  typealias Work = @Sendable () -> Void

  private struct State {
    var isStarted = false
    var isClosing = false
    var isBusy = false
    /// Transactions under way: what they ask for is done once all of it has been asked for.
    var holds = 0
    /// Transactions that have begun.
    var begun: UInt64 = 0
    /// What was done is still to be shown.
    var isUnshown = false
    var work: [Work] = []
    /// Work for later, by whose it is; CLOCK_MONOTONIC nanoseconds.
    var later: [ObjectIdentifier: (due: Int64, work: Work)] = [:]

    var isIdle: Bool { work.isEmpty && !isBusy && !isUnshown }
  }
  private let state = Monitor(State())
  private let show: Work

  /// - Parameter show: shows what came of the work, on the workbench's thread.
  init(_ show: @escaping Work) { self.show = show }

  /// Whose the state of the work is.
  let affinity = Affinity()

  func add(_ work: @escaping Work) {
    state.change { state in
      guard !state.isClosing else { return }
      state.work.append(work)
      start(&state)
    }
  }

  /// Has something done then, in place of what was to be done later for the same owner.
  func add(at due: Int64, for owner: AnyObject, _ work: @escaping Work) {
    state.change { state in
      guard !state.isClosing else { return }
      state.later[ObjectIdentifier(owner)] = (due, work)
      start(&state)
    }
  }

  func cancel(_ owner: AnyObject) { state.withLock { $0.later[ObjectIdentifier(owner)] = nil } }

  /// While it is held nothing is begun.
  func hold(_ isOn: Bool) {
    state.change { state in
      state.holds += isOn ? 1 : -1
      if isOn { state.begun += 1 }
    }
  }

  /// Waits until what was asked for up to now has been done.
  /// - Returns: false when that had not happened at the deadline.
  @discardableResult func settle(until deadline: Int64) -> Bool {
    state.wait(until: deadline) { $0.isIdle || $0.isClosing ? true : nil } ?? false
  }

  /// Nothing is begun any more.
  func close() {
    state.change {
      $0.isClosing = true
      $0.work = []
      $0.later = [:]
      $0.isUnshown = false
    }
  }

  private func start(_ state: inout State) {
    guard !state.isStarted else { return }
    do throws(Failure) {
      _ = try Thread.start("regions") { [self] in
        // What is drawn gives way to the pictures.
        Thread.giveWay()
        run()
      }
      state.isStarted = true
    } catch {
      // No thread now: whoever asks next tries again, and what was asked for waits.
    }
  }

  private struct Batch {
    let work: [Work]
    /// Transactions that had begun by then.
    let begun: UInt64
  }

  private func run() {
    while let batch = next() {
      affinity.within { for work in batch.work { work() } }
      let isWhole = state.change { state in
        let isWhole = state.holds == 0 && state.begun == batch.begun
        state.isUnshown = !isWhole
        return isWhole
      }
      if isWhole { show() }
      state.change { $0.isBusy = false }
    }
  }

  private func next() -> Batch? {
    while true {
      let due = state.withLock { $0.later.values.map(\.due).min() ?? .max }
      let found = state.wait(until: due) { state -> Batch?? in
        if state.isClosing { return .some(nil) }
        guard state.holds == 0 else { return nil }
        if !state.work.isEmpty || state.isUnshown {
          defer { state.work = [] }
          state.isBusy = true
          return Batch(work: state.work, begun: state.begun)
        }
        // Something else became due earlier than what was waited for.
        return state.later.values.contains { $0.due < due } ? .some(nil) : nil
      }
      if case .some(.some(let batch)) = found { return batch }
      let isEnding = state.change { state in
        let now = Clock.now()
        for (owner, item) in state.later where item.due <= now {
          state.work.append(item.work)
          state.later[owner] = nil
        }
        return state.isClosing
      }
      if isEnding { return nil }
    }
  }
}

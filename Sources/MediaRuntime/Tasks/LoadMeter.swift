// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports

/// Measures the load of services over a window, while one is set. Then a thread takes their sums sixteen times in a window,
/// so that a window slides on while nobody reads and nobody works; without one nothing runs.
///
/// Its lock is its own: no worker takes it.
final class LoadMeter: Sendable {
  private struct State {
    /// As it was set; 0: nothing is measured.
    var milliseconds: UInt32 = 0
    var windows: [(service: Service, window: LoadWindow)] = []
    /// When the next sums are taken, CLOCK_MONOTONIC nanoseconds; 0: not at all.
    var due: Int64 = 0
    var hasThread = false

    var span: Int64 { .milliseconds(Int64(milliseconds)) }
    /// Nanoseconds from sample to sample. More often than a hundred times a second nobody looks.
    var step: Int64 { max(.milliseconds(10), span / LoadWindow.parts) }
  }
  private let state = Monitor(State())

  /// The window that is set, milliseconds.
  var milliseconds: UInt32 { state.withLock { $0.milliseconds } }

  /// Begins to measure, or ends it. The same window again changes nothing: a poller that sets it each time disturbs nobody.
  /// - Parameter all: whose services are measured; held until it ends.
  /// - Throws: EAGAIN when the system has no more threads; nothing is measured then.
  func set(milliseconds: UInt32, of all: Services) throws(Failure) {
    let services = all.all
    let needsThread = state.change { state -> Bool in
      guard state.milliseconds != milliseconds else { return false }
      state.milliseconds = milliseconds
      state.windows = []
      state.due = 0
      guard milliseconds > 0 else { return false }
      take(services, at: Clock.now(), &state)
      defer { state.hasThread = true }
      return !state.hasThread
    }
    guard needsThread else { return }
    do throws(Failure) {
      _ = try Thread.start("load") { [self] in run(all) }
    } catch {
      state.withLock { $0 = State() }
      throw error
    }
  }

  /// What a service did in the window that ends now; `nil` while nothing is measured.
  func load(of service: Service) -> ServiceLoad? {
    state.withLock { state in
      guard state.milliseconds > 0 else { return nil }
      let window = state.windows.first { $0.service === service }?.window ?? LoadWindow(WorkSums(at: service.createdAt))
      return window.load(until: service.sums(at: Clock.now()), span: state.span)
    }
  }

  /// Ends the thread.
  func close() {
    state.change { state in
      state.milliseconds = 0
      state.due = 0
    }
  }

  private func run(_ all: Services) {
    while let due = next() {
      _ = state.wait(until: due) { $0.due != due ? () : nil as Void? }
      let services = all.all
      state.withLock { state in
        let now = Clock.now()
        if state.due == due, now >= due { take(services, at: now, &state) }
      }
    }
  }

  /// When the next sums are due; `nil` when the thread is to end.
  private func next() -> Int64? {
    state.withLock { state in
      if state.due == 0 { state.hasThread = false }
      return state.due == 0 ? nil : state.due
    }
  }

  private func take(_ services: [Service], at now: Int64, _ state: inout State) {
    let old = state.windows
    state.windows = services.map { service in
      // What came since the measurement began did all it did since then.
      let known = old.first { $0.service === service }?.window
      let isNew = known == nil && !old.isEmpty
      let sums = service.sums(at: now)
      var window = known ?? LoadWindow(isNew ? WorkSums(at: service.createdAt) : sums)
      if known != nil || isNew { window.add(sums, span: state.span) }
      return (service, window)
    }
    state.due = now + state.step
  }
}

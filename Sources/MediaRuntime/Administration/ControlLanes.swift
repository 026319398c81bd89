// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import SystemPackage

/// The control lanes: each object has one, and what touches its device or file runs on it, one piece of work at a time.
/// Lanes know nothing of each other, so one that hangs holds up no other.
///
/// A transaction waits for the work it began until its deadline. What has not come back by then is *left*: it stands in
/// `State.left` until it does, `state` and `health` name it, and the object can be disabled, unbound, set and removed all
/// the same. Such a change *supersedes* what was left: when that comes back, its effect is undone and nothing else
/// happens. A change that needs the object back and is refused because it has not come changes nothing of what was left.
/// Work that was not begun when its writer was told ETIMEDOUT is never begun.
///
/// Threads: a transaction that touches devices has a thread of its own, which only ever waits with a deadline; each piece
/// of work has one too.
extension Administrator {
  /// An object that takes longer is not waited for before the next is begun.
  private static let lead: Int64 = .milliseconds(300)
  /// How long work that was cancelled may take to come back.
  private static let grace: Int64 = .milliseconds(500)
  /// What is absent is asked for again after so long the first time, and the last.
  private static let retries: ClosedRange<Int64> = .milliseconds(500) ... .seconds(2)

  /// Work that nobody waits for any more.
  struct Left: Sendable {
    enum Kind: Sendable {
      /// The object is being started, for somebody who was told ETIMEDOUT. `keeping` names what it opens where it is to be
      /// waited for when that fails in the end.
      case start(keeping: String?)
      /// The object is started again and again until that succeeds.
      case retry(Pause)
      case stop
      /// A command or a control.
      case command
    }
    let kind: Kind
    let task: ControlTask
    /// A later change wants the opposite.
    var isSuperseded = false
    /// That change, or the one that stopped the object, was refused: the object is to run as before. What it opens, and whether it
    /// is waited for when that fails.
    var runsAgain: (target: String, isKept: Bool)?
    /// The object was removed meanwhile.
    var isRemoved = false

    /// The object is being started again as it was wanted before: a change that comes from then on supersedes it anew.
    mutating func reinstate() { (isSuperseded, runsAgain) = (false, nil) }
  }

  // MARK: work that is waited for

  /// Runs work on the object's lane.
  /// - Returns: false when it had not come back at the deadline and was left.
  /// - Throws: what the work threw; EBUSY when the lane still has work of an earlier transaction.
  func onLane(
    _ object: any ModuleObject, _ kind: Left.Kind, _ key: String, until deadline: Int64,
    _ work: @escaping @Sendable () throws(Refusal) -> Void
  ) throws(Refusal) -> Bool {
    let task = try begin(object, key, work)
    if let outcome = task.wait(until: deadline) ?? leave(task, object, kind) {
      switch outcome {
      case .success: return true
      case .failure(let refusal): throw refusal
      }
    }
    return false
  }

  private func begin(
    _ object: any ModuleObject, _ key: String, replacesLeft: Bool = false,
    _ work: @escaping @Sendable () throws(Refusal) -> Void
  ) throws(Refusal) -> ControlTask {
    if !replacesLeft, let left = state.withLock({ $0.left[ObjectIdentity(object)] }) {
      let seconds = (Clock.now() - left.task.since) / .seconds(1)
      throw Refusal(
        .resourceBusy, path: "\(object.path)/\(key)",
        reason: "what was begun \(seconds) s ago has not come back from its file or device",
        hint: "its storage or driver hangs; the rest goes on")
    }
    do throws(Failure) {
      return try ControlTask("ctl \(object.path)", work)
    } catch {
      throw Refusal(error, path: "\(object.path)/\(key)")
    }
  }

  /// - Returns: the outcome when it has just come back.
  private func leave(_ task: ControlTask, _ object: any ModuleObject, _ kind: Left.Kind) -> ControlTask.Outcome? {
    let identity = ObjectIdentity(object)
    state.withLock { $0.left[identity] = Left(kind: kind, task: task) }
    let outcome = task.leave { [self] outcome in cameBack(object, outcome) }
    if outcome != nil { state.withLock { $0.left[identity] = nil } }
    return outcome
  }

  // MARK: starting

  /// Objects whose start has not come back yet.
  struct Straggler {
    let path: ObjectPath
    let object: any ModuleObject
    /// What it opens.
    let target: String
    /// It is waited for when it is refused.
    let isKept: Bool
    let task: ControlTask
  }

  /// Starts an object. One that takes long becomes a straggler, and the next one's turn comes.
  /// - Parameter target: what it opens, by the name its settings give it.
  func start(
    _ path: ObjectPath, _ object: any ModuleObject, opening target: String, isKept: Bool, _ deadline: Int64,
    _ stragglers: inout [Straggler]
  ) throws(Refusal) {
    let task = try begin(object, "enable") { () throws(Refusal) in try Self.start(object) }
    switch task.wait(until: min(Clock.now() + Self.lead, max(deadline, Clock.now() + .milliseconds(50)))) {
    case .success?: return
    case .failure(let refusal)?: throw refusal
    case nil: stragglers.append(Straggler(path: path, object: object, target: target, isKept: isKept, task: task))
    }
  }

  private static func start(_ object: any ModuleObject) throws(Refusal) {
    do throws(Failure) {
      try object.start()
    } catch {
      // Some are about the setting, whoever wrote it.
      let isInput = error.operation == "input"
      var refusal = Refusal(
        error, path: "\(object.path)/\(isInput ? "input" : "enable")",
        value: isInput ? Array(error.subject.utf8) : [UInt8(ascii: "1")], hint: hint(error))
      refusal.errno = answer(error.errno)
      throw refusal
    }
  }

  /// Waits for a straggler.
  /// - Returns: false when it was left.
  func finish(_ straggler: Straggler, _ deadline: Int64) throws(Refusal) -> Bool {
    let (object, task) = (straggler.object, straggler.task)
    var outcome = task.wait(until: deadline)
    if outcome == nil {
      // Before it is left: whoever it comes back to takes this away.
      object.awaits("\(straggler.target), which does not answer", since: task.since)
      outcome = leave(task, object, .start(keeping: straggler.isKept ? straggler.target : nil))
      if outcome != nil { object.awaits(nil, since: 0) }
    }
    switch outcome {
    case .success?: return true
    case .failure(let refusal)?: throw refusal
    case nil: return false
    }
  }

  /// A start that is not wanted any more: given up where the object can, else undone when it comes back.
  func giveUp(_ straggler: Straggler) {
    giveUp(straggler.task, of: straggler.object)
    switch straggler.task.wait(until: Clock.now()) ?? leave(straggler.task, straggler.object, .start(keeping: nil)) {
    case .success?: stop(straggler.object)
    case .failure?: break
    case nil: _ = supersede(straggler.object)
    }
  }

  /// Has a start come back, if the object can: it may not have come to where it waits yet.
  private func giveUp(_ task: ControlTask, of object: any ModuleObject) {
    let deadline = Clock.now() + Self.grace
    repeat {
      object.cancelStart()
    } while task.wait(until: Clock.now() + .milliseconds(20)) == nil && Clock.now() < deadline
  }

  // MARK: waiting for what is absent

  /// Has the object started again and again until it can be. What it was refused with stands in `state` and `health`.
  func keepTrying(
    _ path: ObjectPath, _ object: any ModuleObject, opening target: String, _ refusal: Refusal,
    replacesLeft: Bool = false
  ) {
    let since = Clock.now()
    object.awaits("\(target) (\(refusal.reason))", since: since)
    moduleLog.record(ModuleKind(path.kind), .warning, "\(path) waits: \(refusal.reason)")
    let pause = Pause()
    do throws(Refusal) {
      let task = try begin(object, "enable", replacesLeft: replacesLeft) { () throws(Refusal) in
        var delay = Self.retries.lowerBound
        while pause.wait(delay) {
          do throws(Refusal) {
            return try Self.start(object)
          } catch {
            if !pause.hasEnded { object.awaits("\(target) (\(error.reason))", since: since) }
            delay = min(delay * 2, Self.retries.upperBound)
          }
        }
        throw Refusal(.canceled, path: "\(path)/enable", reason: "was given up")
      }
      follow(task, object, .retry(pause))
    } catch {
      errorLog.record(error)
      // There is no thread for it: nobody waits, and what came back must not keep its place.
      if replacesLeft { giveBack(object) }
    }
  }

  /// Leaves work in the place of what was left before it, and as that was.
  private func follow(_ task: ControlTask, _ object: any ModuleObject, _ kind: Left.Kind) {
    let identity = ObjectIdentity(object)
    state.withLock { state in
      var new = Left(kind: kind, task: task)
      if let old = state.left[identity] {
        (new.isSuperseded, new.runsAgain, new.isRemoved) = (old.isSuperseded, old.runsAgain, old.isRemoved)
      }
      if new.isSuperseded, case .retry(let pause) = kind { pause.end() }
      state.left[identity] = new
    }
    if let outcome = task.leave({ [self] in cameBack(object, $0) }) { cameBack(object, outcome) }
  }

  /// Starts an object that came back from what a refused change had wanted of it.
  private func startAgain(_ object: any ModuleObject, opening target: String, isKept: Bool) {
    guard !isKept else {
      let reason = Refusal(.canceled, path: "\(object.path)/enable", reason: "is opened again")
      return keepTrying(object.path, object, opening: target, reason, replacesLeft: true)
    }
    do throws(Refusal) {
      let task = try begin(object, "enable", replacesLeft: true) { () throws(Refusal) in try Self.start(object) }
      follow(task, object, .start(keeping: nil))
    } catch {
      errorLog.record(error)
      giveBack(object)
    }
  }

  /// What was left has come back and nothing can follow it.
  private func giveBack(_ object: any ModuleObject) {
    object.awaits(nil, since: 0)
    let isRemoved = state.withLock { $0.left.removeValue(forKey: ObjectIdentity(object))?.isRemoved ?? false }
    if isRemoved { object.retire() } else { disable(object.path, object) }
  }

  /// What an object opens once a plan is made, by the name its settings give it.
  func target(_ path: ObjectPath, _ plan: Plan) -> String {
    target(plan.updates.last { $0.path == path }?.new ?? settings(of: path))
  }

  /// What an object opens, by the name its settings give it.
  func target(_ settings: ObjectSettings?) -> String {
    settings?.text("input") ?? settings?.text("device") ?? settings?.text("backend") ?? "its device"
  }

  // MARK: what was left

  /// Work that was left has come back. On its thread.
  private func cameBack(_ object: any ModuleObject, _ outcome: ControlTask.Outcome) {
    let identity = ObjectIdentity(object)
    object.awaits(nil, since: 0)
    enum Rest {
      case done, undo, retire
      case again(String, isKept: Bool)
      case disable(Refusal)
      case keep(String, Refusal)
    }
    let rest: Rest = state.withLock { state in
      guard let left = state.left[identity] else { return .done }
      func again(_ target: String, _ isKept: Bool) -> Rest {
        state.left[identity]?.reinstate()
        return .again(target, isKept: isKept)
      }
      let isWanted = !left.isSuperseded || left.runsAgain != nil
      switch (left.kind, outcome) {
      case (.start, .success), (.retry, .success):
        if !isWanted { return .undo }
      case (.start(let target), .failure(let refusal)) where isWanted:
        // It was given up for the change that was refused.
        if refusal.errno == .canceled, let (target, isKept) = left.runsAgain { return again(target, isKept) }
        if let target {
          state.left[identity]?.reinstate()
          return .keep(target, refusal)
        }
        state.left[identity] = nil
        return .disable(refusal)
      case (.retry, .failure), (.stop, _):
        if let (target, isKept) = left.runsAgain, !left.isRemoved { return again(target, isKept) }
      case (.start, _), (.command, _): break
      }
      if left.isRemoved { return .retire }
      state.left[identity] = nil
      return .done
    }
    switch rest {
    case .done:
      if case .success = outcome {
        moduleLog.record(ModuleKind(object.path.kind), .information, "\(object.path) is back")
      }
      return
    case .retire: break
    case .undo: object.stop()
    case .again(let target, let isKept):
      startAgain(object, opening: target, isKept: isKept)
      return
    case .keep(let target, let refusal):
      errorLog.record(refusal)
      keepTrying(object.path, object, opening: target, refusal, replacesLeft: true)
      return
    case .disable(let refusal):
      errorLog.record(refusal)
      disable(object.path, object)
      return
    }
    // Removed or not is decided under the lock, so that either this thread retires it or whoever removes it. What this thread
    // retires is under way until that is done: the end waits for it.
    let left = state.withLock { state -> Left? in
      let left = state.left[identity]
      if left?.isRemoved == false, left?.runsAgain == nil { state.left[identity] = nil }
      state.left[identity]?.reinstate()
      return left
    }
    if left?.isRemoved == true {
      object.retire()
      state.withLock { $0.left[identity] = nil }
    } else if let (target, isKept) = left?.runsAgain {
      // The change was refused while this was undone for it.
      startAgain(object, opening: target, isKept: isKept)
    }
  }

  /// Has an object run as before when what is under way on its lane comes back: the change that wanted otherwise was refused.
  /// - Parameter isKept: whether it is waited for when it was running before and is refused.
  /// - Returns: false when nothing is under way.
  func runsAgain(_ object: any ModuleObject, opening target: String, isKept: Bool) -> Bool {
    let identity = ObjectIdentity(object)
    return state.withLock { state in
      guard let left = state.left[identity] else { return false }
      let isKept =
        switch left.kind {
        case .start(let keeping): keeping != nil
        case .retry: true
        case .stop, .command: isKept
        }
      state.left[identity]?.runsAgain = (target, isKept)
      return true
    }
  }

  /// A change that wants the opposite of what is under way on the object's lane.
  /// - Returns: whether the lane is free.
  func supersede(_ object: any ModuleObject) -> Bool {
    let identity = ObjectIdentity(object)
    let left: Left? = state.withLock { state in
      state.left[identity]?.isSuperseded = true
      state.left[identity]?.runsAgain = nil
      return state.left[identity]
    }
    guard let left else { return true }
    if case .retry(let pause) = left.kind { pause.end() }
    giveUp(left.task, of: object)
    // It has come back when its epilogue is done too.
    let deadline = Clock.now() + Self.grace
    while Clock.now() < deadline {
      guard state.withLock({ $0.left[identity] }) != nil, left.task.wait(until: 0) != nil else { break }
      _ = Pause().wait(.milliseconds(1))
    }
    return state.withLock { $0.left[identity] == nil }
  }

  /// Stops an object on its lane. One that does not stop is left.
  /// - Returns: false when it was left.
  @discardableResult
  func stop(_ object: any ModuleObject, until deadline: Int64? = nil) -> Bool {
    let isLeft = state.withLock { $0.left[ObjectIdentity(object)] } != nil
    // What was superseded is stopped where it is undone.
    if isLeft, !supersede(object) { return false }
    do throws(Refusal) {
      return try onLane(object, .stop, "enable", until: max(deadline ?? 0, Clock.now() + Self.grace)) { object.stop() }
    } catch {
      errorLog.record(error)
      return true
    }
  }
}

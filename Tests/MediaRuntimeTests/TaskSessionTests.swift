// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import MediaCore
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

/// Counts down what it has to do and notes who did when.
final class Chore: SessionWork {
  let left = Atomic<Int>(0)
  let done = Atomic<Int>(0)
  let inside = Atomic<Int>(0)
  let overlaps = Atomic<Int>(0)
  let gate = GateBox()
  func perform() -> Bool {
    guard left.load(ordering: .acquiring) > 0 else { return false }
    if inside.add(1, ordering: .acquiringAndReleasing).newValue > 1 { overlaps.add(1, ordering: .relaxed) }
    while gate.isShut { usleep(200) }
    left.subtract(1, ordering: .relaxed)
    done.add(1, ordering: .relaxed)
    inside.subtract(1, ordering: .acquiringAndReleasing)
    return true
  }
  let returns = Atomic<Int>(0)
  func cameBack() { returns.add(1, ordering: .relaxed) }
  func add(_ count: Int) { left.add(count, ordering: .acquiringAndReleasing) }
  var finished: Int { done.load(ordering: .relaxed) }

  /// A session of its own, which runs.
  func session(_ number: Int = 0, on service: Service) -> Session {
    let session = Session(ObjectPath("venc", number)!, service: service, patience: .seconds(60))
    session.attach(self)
    session.resume()
    return session
  }
}

@Suite(.ownThread) struct TaskSessionTests {
  @Test func aSessionsTasksNeverOverlapHoweverManyTellItThatThereIsWork() throws {
    let service = try Service(name: "test", workers: 3)
    let chore = Chore()
    let session = chore.session(on: service)
    let tellers = (0..<3).map { index in
      Background("teller\(index)") {
        for _ in 0..<2000 {
          chore.add(1)
          session.schedule()
        }
      }
    }
    for teller in tellers { try teller.value }
    #expect(eventually { chore.finished == 6000 })
    #expect(chore.overlaps.load(ordering: .relaxed) == 0)
    #expect(session.halt())
    session.attach(nil)
    service.close()
  }

  @Test func nothingIsLostWhenAWorkerIsJustGoingToSleep() throws {
    let service = try Service(name: "test", workers: 2)
    let chore = Chore()
    let session = chore.session(on: service)
    for number in 1...500 {
      chore.add(1)
      session.schedule()
      #expect(eventually { chore.finished == number })
    }
    #expect(session.halt())
    session.attach(nil)
    service.close()
  }

  @Test func aHaltedSessionDoesNothingUntilItIsResumed() throws {
    let service = try Service(name: "test", workers: 1)
    let chore = Chore()
    let session = chore.session(on: service)
    #expect(session.halt())
    chore.add(3)
    session.schedule()
    let other = Chore()
    let second = other.session(1, on: service)
    other.add(1)
    second.schedule()
    #expect(eventually { other.finished == 1 }, "the worker is free")
    #expect(chore.finished == 0)
    session.resume()
    #expect(eventually { chore.finished == 3 })
    for each in [session, second] {
      #expect(each.halt())
      each.attach(nil)
    }
    service.close()
  }

  @Test func haltGivesUpOnATaskThatDoesNotComeBack() throws {
    let service = try Service(name: "test", workers: 1)
    let chore = Chore()
    chore.gate.close()
    let session = chore.session(on: service)
    chore.add(1)
    session.schedule()
    #expect(eventually { chore.inside.load(ordering: .relaxed) == 1 })
    #expect(!session.halt(patience: 20_000_000))
    chore.gate.open()
    #expect(eventually { session.isIdle })
    #expect(chore.returns.load(ordering: .relaxed) == 1, "the worker clears up when it comes back")
    #expect(!session.leaveToWorker(), "nobody is at work")
    session.attach(nil)
    service.close()
  }

  @Test func whatIsDoneBetweenTwoTasksHasTheStateToItselfAndTheTasksGoOn() throws {
    let service = try Service(name: "test", workers: 1)
    let chore = Chore()
    let session = chore.session(on: service)
    chore.add(100_000)
    session.schedule()
    for _ in 0..<100 {
      var inside = 0
      #expect(session.between { inside = chore.inside.load(ordering: .relaxed) })
      #expect(inside == 0, "no task runs meanwhile")
    }
    #expect(eventually { chore.finished == 100_000 })
    #expect(session.halt())
    var isDone = false
    #expect(session.between { isDone = true })
    #expect(isDone)
    chore.add(1)
    session.schedule()
    #expect(session.isIdle, "it stays halted")
    session.attach(nil)
    service.close()
  }

  @Test func nothingIsDoneBetweenTwoTasksWhereOneDoesNotComeBack() throws {
    let service = try Service(name: "test", workers: 1)
    let chore = Chore()
    let session = chore.session(on: service)
    chore.gate.close()
    chore.add(2)
    session.schedule()
    #expect(eventually { chore.inside.load(ordering: .relaxed) == 1 })
    #expect(!session.between(patience: 1_000_000) { Issue.record("the task runs") })
    chore.gate.open()
    #expect(eventually { chore.finished == 2 }, "the next one follows")
    #expect(session.halt())
    session.attach(nil)
    service.close()
  }

  @Test func theFiguresOfASessionAreThoseOfItsTasks() throws {
    let script = EncoderScript()
    let bench = try Bench(encoder: ScriptedEncoderFactory(script: script))
    try bench.pipeline()
    #expect(eventually { (bench.graph.sessionFigures().last?.done ?? 0) > 5 })
    #expect(bench.graph.sessionFigures().map(\.path) == ["vi/0", "vpss/0", "venc/0", "venc/1"])
    script.gate.close()
    #expect(eventually { bench.graph.sessionFigures().contains { $0.isOverdue && $0.pending == 4 } })
    script.gate.open()
    #expect(bench.graph.serviceFigures().map(\.name) == ["cpu"])
    #expect(bench.graph.serviceFigures()[0].runs > 0)
    bench.finish()
  }
}

// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite(.ownThread) struct MonitorTests {
  @Test func whoWaitsIsWokenByAChange() throws {
    let monitor = Monitor(0)
    let waiter = Background { monitor.wait { $0 == 2 ? "two" : nil } }
    monitor.change { $0 += 1 }
    monitor.change { $0 += 1 }
    #expect(try waiter.value == "two")
  }

  @Test func aWaitTakesWhatItFinds() {
    let monitor = Monitor(["first", "second"])
    #expect(monitor.wait { $0.popLast() } == "second")
    #expect(monitor.withLock { $0 } == ["first"])
  }

  @Test func aWaitEndsAtItsDeadlineAndNotBefore() {
    let monitor = Monitor(())
    let deadline = Clock.now() + .milliseconds(20)
    var asked = 0
    let result: Void? = monitor.wait(until: deadline) { _ in
      asked += 1
      return nil
    }
    #expect(result == nil)
    #expect(Clock.now() >= deadline)
    // It slept: by another clock than the deadline's it would have asked for 20 ms on end.
    #expect(asked < 100)
  }

  @Test func aDeadlineThatHasPassedStillAsksOnce() {
    let monitor = Monitor(7)
    #expect(monitor.wait(until: 0) { $0 } == 7)
  }

  @Test func oneIsWokenForEachThing() {
    let monitor = Monitor((things: 0, waiting: 0))
    let takers = (0..<3).map { _ in
      Background {
        var counted = false
        _ = monitor.wait { state -> Bool? in
          if !counted {
            state.waiting += 1
            counted = true
          }
          guard state.things > 0 else { return nil }
          state.things -= 1
          return true
        }
      }
    }
    #expect(eventually { monitor.withLock { $0.waiting == 3 } })
    for number in 1...3 {
      monitor.withLock { $0.things += 1 }
      monitor.wakeOne()
      #expect(eventually { takers.count(where: { $0.isFinished }) == number })
    }
  }

  @Test func allLookAgainAtWhatIsNotInTheState() {
    let monitor = Monitor(0)
    let isOver = Atomic<Bool>(false)
    let waiters = (0..<3).map { _ in
      Background {
        var counted = false
        _ = monitor.wait { waiting -> Bool? in
          if !counted {
            waiting += 1
            counted = true
          }
          return isOver.load(ordering: .relaxed) ? true : nil
        }
      }
    }
    #expect(eventually { monitor.withLock { $0 == 3 } })
    isOver.store(true, ordering: .relaxed)
    monitor.wakeAll()
    #expect(eventually { waiters.allSatisfy { $0.isFinished } })
  }

  @Test func aLockThatIsTakenIsNotWaitedFor() throws {
    let monitor = Monitor(1)
    let other = try monitor.withLock { _ in try Background { monitor.withLockIfAvailable { $0 } }.value }
    #expect(other == nil)
    #expect(monitor.withLockIfAvailable { $0 } == 1)
  }

  @Test func anErrorGivesTheLockBack() {
    struct Trouble: Error {}
    let monitor = Monitor(1)
    #expect(throws: Trouble.self) { try monitor.withLock { _ in throw Trouble() } }
    #expect(monitor.withLockIfAvailable { $0 } == 1)
  }

  @Test func theLockIsHeldInsideAndAgainAfterAWait() {
    let monitor = Monitor(0)
    monitor.withLock { _ in monitor.assertIsHeld() }
    monitor.change { _ in monitor.assertIsHeld() }
    let result: Void? = monitor.wait(until: Clock.now() + .milliseconds(1)) { _ in
      monitor.assertIsHeld()
      return nil
    }
    #expect(result == nil)
  }

  @Test func assertingALockThatIsNotHeldEndsTheProgram() async {
    await #expect(processExitsWith: .failure) {
      let monitor = Monitor(0)
      monitor.withLock { _ in monitor.assertIsHeld() }
      monitor.assertIsHeld()
    }
  }

  @Test func lockingTwiceEndsTheProgramInsteadOfHanging() async {
    await #expect(processExitsWith: .failure) {
      let monitor = Monitor(0)
      monitor.withLock { _ in monitor.withLock { $0 += 1 } }
    }
  }
}

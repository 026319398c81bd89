// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

/// What is asked for together is shown together, and nothing of a transaction that is under way.
@Suite(.ownThread) struct WorkbenchTests {
  /// What was done, and what of it had been done when it was shown.
  private final class Journal: Sendable {
    let state = Monitor((done: [String](), shown: [[String]]()))
    func did(_ what: String) { state.change { $0.done.append(what) } }
    func show() { state.change { $0.shown.append($0.done) } }
    var shown: [[String]] { state.withLock { $0.shown } }
  }

  @Test func aTransactionIsShownWholeOrNotAtAll() {
    let journal = Journal()
    let bench = Workbench { journal.show() }
    bench.hold(true)
    bench.add { journal.did("first") }
    bench.add { journal.did("second") }
    #expect(journal.shown.isEmpty)
    bench.hold(false)
    #expect(bench.settle(until: Clock.now() + .seconds(60)))
    #expect(journal.shown == [["first", "second"]])
    bench.close()
  }

  /// It may have seen half of the settings by then.
  @Test func whatWasSeenWhileAnotherBeganIsShownAfterIt() {
    let journal = Journal()
    let bench = Workbench { journal.show() }
    bench.add {
      journal.did("half")
      bench.hold(true)
    }
    #expect(eventually { journal.state.withLock { $0.done == ["half"] } })
    #expect(!bench.settle(until: Clock.now()), "it was shown while a transaction was under way")
    #expect(journal.shown.isEmpty)
    bench.add { journal.did("other half") }
    bench.hold(false)
    #expect(bench.settle(until: Clock.now() + .seconds(60)))
    #expect(journal.shown == [["half", "other half"]])
    // One that asks for nothing here holds nothing up for ever.
    bench.add {
      journal.did("third")
      bench.hold(true)
    }
    #expect(eventually { journal.state.withLock { $0.done.last == "third" } })
    bench.hold(false)
    #expect(bench.settle(until: Clock.now() + .seconds(60)))
    #expect(journal.shown.last == ["half", "other half", "third"])
    bench.close()
  }
}

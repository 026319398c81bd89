// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

private let absent = Failure(.noSuchFileOrDirectory, "open", on: "/dev/video9")

/// A device that hangs or is absent: it harms nobody else, it is named, and it can be left.
@Suite(.ownThread) struct ControlLaneTests {
  /// A runtime in which starting `vi/0` hangs, and is refused in the end with a failure where there is one; its writer has been
  /// told ETIMEDOUT. Who writes afterwards has time.
  private func hung(_ gate: Gate, _ failure: Failure? = nil) throws -> FakeRuntime {
    let fake = try FakeRuntime()
    #expect(fake.load("vi/0/input = /clip\nvenc/0/gop = 9\n") == nil)
    fake.factory.gates.withLock { $0[p("vi/0")] = gate }
    fake.factory.failures.withLock { $0[p("vi/0")] = failure }
    withPatience(300_000_000, fake) {
      // What a busy machine does not begin in time is refused too, and never begun.
      repeat {
        fake.runtime.errorLog.clear()
        #expect(fake.apply(.set(p("vi/0"), "enable", "1"))?.errno == .timedOut)
      } while fake.runtime.setting(p("vi/0"), "enable") == "0"
    }
    #expect(gate.waitForVisitor())
    return fake
  }

  /// Does something that is answered within so many nanoseconds.
  private func withPatience(_ nanoseconds: Int64, _ fake: FakeRuntime, _ body: () -> Void) {
    let usual = fake.runtime.administrator.patience
    fake.runtime.administrator.patience = nanoseconds
    body()
    fake.runtime.administrator.patience = usual
  }

  private func object(_ fake: FakeRuntime, _ name: String) throws -> FakeObject {
    try #require(fake.factory.object(p(name)))
  }

  private func isRunning(_ fake: FakeRuntime, _ name: String) throws -> Bool {
    try object(fake, name).state.withLock { $0.isRunning }
  }

  private func awaited(_ fake: FakeRuntime, _ name: String) throws -> String? {
    try object(fake, name).state.withLock { $0.awaited }
  }

  @Test func whatHangsIsNamedAndGoesOn() throws {
    let gate = Gate()
    let fake = try hung(gate)
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "1")
    #expect(try awaited(fake, "vi/0") == "file:/clip, which does not answer")
    #expect(fake.runtime.errorLog.records.last?.path == "vi/0/enable")
    gate.open()
    #expect(try eventually { try isRunning(fake, "vi/0") })
    #expect(try eventually { try awaited(fake, "vi/0") == nil })
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "1")
    #expect(fake.apply(.set(p("vi/0"), "enable", "0")) == nil)
    // By the thread that has come back, where that is not done yet.
    #expect(try eventually { try !isRunning(fake, "vi/0") })
  }

  @Test func aHungObjectHoldsUpNoOther() throws {
    let gate = Gate()
    let fake = try hung(gate)
    for change: Change in [
      .set(p("venc/0"), "enable", "1"), .create(p("venc/1")), .set(p("venc/1"), "source", "vi/0"),
      .set(p("venc/0"), "enable", "0"), .set(p("venc/1"), "source", ""), .remove(p("venc/1")),
    ] {
      #expect(fake.apply(change) == nil, "\(change)")
    }
    #expect(fake.load("vi/1/enable = 1\nvenc/0/enable = 1\n") == nil)
    #expect(try isRunning(fake, "vi/1"))
    gate.open()
  }

  @Test func aHungObjectCanBeDisabledSetAndRemoved() throws {
    let gate = Gate()
    let fake = try hung(gate)
    let first = try object(fake, "vi/0")
    #expect(fake.apply(.set(p("vi/0"), "enable", "0")) == nil)
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "0")
    #expect(fake.apply(.set(p("vi/0"), "input", "pattern")) == nil)
    #expect(fake.apply(.set(p("vi/0"), "enable", "1"))?.errno == .resourceBusy)
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "0")
    #expect(fake.apply(.remove(p("vi/0"))) == nil)
    #expect(!first.state.withLock { $0.isRetired })
    fake.factory.gates.withLock { $0 = [:] }
    #expect(fake.apply(.create(p("vi/0")), .set(p("vi/0"), "enable", "1")) == nil)
    // What was asked for before is undone when it comes back, and touches the new object of this name in no way.
    gate.open()
    #expect(eventually { first.state.withLock { $0.isRetired } })
    #expect(!first.state.withLock { $0.isRunning })
    #expect(try isRunning(fake, "vi/0"))
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "1")
  }

  @Test func aStartThatIsSupersededIsNotCarriedOutAfterwards() throws {
    let gate = Gate()
    let fake = try hung(gate)
    #expect(fake.apply(.set(p("vi/0"), "enable", "0")) == nil)
    _ = fake.factory.journal.take()
    gate.open()
    #expect(fake.runtime.shutDown(milliseconds: 20_000))
    let steps = fake.factory.journal.take().filter { $0.hasSuffix("vi/0") }
    #expect(steps == ["start vi/0", "stop vi/0", "retire vi/0"])
    #expect(fake.runtime.errorLog.records.filter { $0.path == "vi/0/enable" }.count == 1)
  }

  // MARK: a change that is refused because what hangs has not come back

  /// Another input for `vi/0`, which may be started anew for it. It is refused and changes nothing.
  private func refuseAnotherInput(_ fake: FakeRuntime) {
    _ = fake.factory.journal.take()
    withPatience(300_000_000, fake) {
      #expect(
        fake.apply(.set(p("vi/0"), "input", "/other"), .set(p("vi/0"), "enable", "1"))?.errno == .resourceBusy)
    }
    #expect(fake.runtime.setting(p("vi/0"), "input") == "file:/clip")
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "1")
  }

  private func nothingIsLeft(_ fake: FakeRuntime) -> Bool {
    eventually { fake.runtime.administrator.state.withLock { $0.left.isEmpty } }
  }

  @Test func aRefusedChangeLetsAHungStartComeToItsEnd() throws {
    let gate = Gate()
    let fake = try hung(gate)
    refuseAnotherInput(fake)
    gate.open()
    #expect(nothingIsLeft(fake))
    #expect(try isRunning(fake, "vi/0"))
    #expect(fake.factory.journal.take() == ["start vi/0"])
    // What is wanted otherwise afterwards is made.
    fake.factory.gates.withLock { $0 = [:] }
    #expect(fake.apply(.set(p("vi/0"), "enable", "0")) == nil)
    #expect(fake.factory.journal.take() == ["stop vi/0", "commit vi/0 enable"])
  }

  @Test func aRefusedChangeLetsAHungStartBeRefused() throws {
    let gate = Gate()
    let fake = try hung(gate, absent)
    refuseAnotherInput(fake)
    gate.open()
    #expect(eventually { fake.runtime.setting(p("vi/0"), "enable") == "0" })
    #expect(fake.runtime.errorLog.records.map(\.errno) == [ETIMEDOUT, EBUSY, ENOENT])
  }

  /// It is asked for again when the change comes, or for the first time.
  @Test(arguments: [true, false]) func aRefusedChangeLeavesWhatIsWaitedForWaitedFor(isAskedAgain: Bool) throws {
    let gate = Gate()
    let fake = try FakeRuntime()
    fake.factory.failures.withLock { $0[p("vi/0")] = absent }
    func hang() { fake.factory.gates.withLock { $0[p("vi/0")] = gate } }
    if !isAskedAgain { hang() }
    withPatience(300_000_000, fake) {
      #expect(fake.load("vi/0/input = /clip\nvi/0/enable = 1\n", waits: true) == nil)
    }
    if isAskedAgain { hang() }
    #expect(gate.waitForVisitor())
    refuseAnotherInput(fake)
    fake.factory.gates.withLock { $0 = [:] }
    gate.open()
    // It was absent still, and is waited for as before: asked for a second and a third time.
    var refusals = 0
    #expect(
      eventually {
        refusals += fake.factory.journal.take().count { $0 == "refuse vi/0" }
        return refusals >= 3
      })
    #expect(try awaited(fake, "vi/0")?.hasPrefix("file:/clip (") == true)
    fake.factory.failures.withLock { $0 = [:] }
    #expect(nothingIsLeft(fake))
    #expect(try isRunning(fake, "vi/0"))
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "1")
  }

  @Test func whatDoesNotStopForARefusedChangeRunsAgainWhenItHas() throws {
    let gate = Gate()
    let fake = try FakeRuntime()
    #expect(fake.load("vi/0/input = /clip\nvi/0/enable = 1\n") == nil)
    fake.factory.stopGates.withLock { $0[p("vi/0")] = gate }
    refuseAnotherInput(fake)
    fake.factory.stopGates.withLock { $0 = [:] }
    gate.open()
    #expect(nothingIsLeft(fake))
    #expect(try isRunning(fake, "vi/0"))
    #expect(fake.factory.journal.take() == ["stop vi/0", "start vi/0"])
  }

  // MARK: what is refused in the end

  @Test func aHungStartThatIsRefusedInTheEndTakesEnableBack() throws {
    let gate = Gate()
    let fake = try hung(gate, absent)
    gate.open()
    #expect(eventually { fake.runtime.setting(p("vi/0"), "enable") == "0" })
    #expect(fake.runtime.errorLog.records.map(\.errno) == [ETIMEDOUT, ENOENT])
    #expect(try awaited(fake, "vi/0") == nil)
  }

  @Test func aHungStartThatCanBeGivenUpIsGivenUp() throws {
    let gate = Gate()
    let fake = try hung(gate)
    fake.factory.cancelled.withLock { $0[p("vi/0")] = gate }
    fake.factory.failures.withLock { $0[p("vi/0")] = Failure(.canceled, "open", on: "/clip", "was given up") }
    #expect(fake.apply(.set(p("vi/0"), "enable", "0")) == nil)
    fake.factory.gates.withLock { $0 = [:] }
    fake.factory.failures.withLock { $0 = [:] }
    // EBUSY only as long as the one that was given up is on its way back.
    #expect(eventually { fake.apply(.set(p("vi/0"), "enable", "1")) == nil })
    #expect(try isRunning(fake, "vi/0"))
  }

  @Test func aChangeThatWasNotBegunInTimeIsNeverMade() throws {
    let gates = (0..<8).map { _ in Gate() }
    let fake = try FakeRuntime()
    let inputs = gates.indices.map { p("vi/\($0)") }
    #expect(fake.load(inputs.map { "\($0)/width = 640\n" }.joined()) == nil)
    fake.factory.gates.withLock { for (path, gate) in zip(inputs, gates) { $0[path] = gate } }
    func enabled() -> Bool { fake.runtime.setting(p("vi/0"), "enable") == "1" }
    var first = Answer()
    repeat {
      // Each that hangs costs a little more than there was time for all of them.
      first = Answer()
      withPatience(300_000_000, fake) {
        fake.runtime.apply(inputs.map { .set($0, "enable", "1") }, reply: first.reply)
      }
      // What a busy machine does not begin in time is refused too, and never begun.
      #expect(eventually { gates[0].hasVisitor || first.count == 1 })
    } while !gates[0].hasVisitor && !enabled()
    // There is no time at all for one that waits for those.
    let second = Answer()
    withPatience(0, fake) {
      fake.runtime.apply([.set(p("vi/7"), "width", "320"), .set(p("vi/7"), "enable", "0")], reply: second.reply)
    }
    #expect(first.wait()?.errno == .timedOut)
    #expect(second.wait()?.errno == .timedOut)
    for gate in gates { gate.open() }
    for path in inputs { #expect(try eventually { try isRunning(fake, "\(path)") }) }
    #expect(fake.runtime.setting(p("vi/7"), "enable") == "1")
    #expect(fake.runtime.setting(p("vi/7"), "width") == "640")
  }

  // MARK: what is absent at the start

  @Test func whatIsAbsentAtTheStartIsWaitedFor() throws {
    let fake = try FakeRuntime()
    fake.factory.failures.withLock { $0[p("vi/1")] = absent }
    #expect(
      fake.load("vi/0/enable = 1\nvi/1/input = /clip\nvi/1/enable = 1\nvenc/0/enable = 1\n", waits: true) == nil)
    #expect(try isRunning(fake, "vi/0"))
    #expect(try isRunning(fake, "venc/0"))
    #expect(try !isRunning(fake, "vi/1"))
    #expect(fake.runtime.setting(p("vi/1"), "enable") == "1")
    #expect(try awaited(fake, "vi/1") == "file:/clip (open /dev/video9: No such file or directory)")
    fake.factory.failures.withLock { $0 = [:] }
    #expect(try eventually { try isRunning(fake, "vi/1") })
    #expect(try eventually { try awaited(fake, "vi/1") == nil })
  }

  @Test func whatIsWaitedForCanBeLeft() throws {
    let fake = try FakeRuntime()
    fake.factory.failures.withLock { $0[p("vi/0")] = absent }
    #expect(fake.load("vi/0/enable = 1\n", waits: true) == nil)
    // Another input is taken at once, and waited for as the one before.
    #expect(fake.apply(.set(p("vi/0"), "input", "/other")) == nil)
    #expect(try awaited(fake, "vi/0")?.hasPrefix("file:/other ") == true)
    #expect(fake.apply(.set(p("vi/0"), "enable", "0")) == nil)
    #expect(try eventually { try awaited(fake, "vi/0") == nil })
    fake.factory.failures.withLock { $0 = [:] }
    #expect(fake.apply(.remove(p("vi/0"))) == nil)
    #expect(eventually { fake.factory.live.withLock { $0.isEmpty } })
  }

  @Test func aWrongLineIsRefusedAlsoAtTheStart() throws {
    let fake = try FakeRuntime()
    fake.factory.failures.withLock { $0[p("vi/0")] = absent }
    #expect(fake.load("vi/0/enable = 1\nvi/0/width = wide\n", waits: true)?.errno == .invalidArgument)
    #expect(fake.runtime.objects.isEmpty)
  }

  @Test func whatIsAbsentIsRefusedToWhoeverEnablesIt() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("vi/0/input = /clip\n", waits: true) == nil)
    fake.factory.failures.withLock { $0[p("vi/0")] = absent }
    #expect(fake.apply(.set(p("vi/0"), "enable", "1"))?.errno == .noSuchFileOrDirectory)
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "0")
  }

  @Test func theEndDoesNotWaitForWhatIsAbsent() throws {
    let fake = try FakeRuntime()
    fake.factory.failures.withLock { $0[p("vi/0")] = absent }
    #expect(fake.load("vi/0/enable = 1\n", waits: true) == nil)
    #expect(fake.runtime.shutDown(milliseconds: 20_000))
    #expect(fake.factory.live.withLock { $0.isEmpty })
  }
}

// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite(.ownThread) struct ThreadTests {
  private static func ownName() -> String {
    guard let file = fopen("/proc/thread-self/comm", "r") else { return "" }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  @Test func aThreadHasItsName() throws {
    let name = Mutex("")
    try Thread("vdec7") { name.withLock { $0 = Self.ownName() } }.join()
    #expect(name.withLock { $0 } == "vdec7")
  }

  @Test func aLongNameIsCutToWhatTheKernelKeeps() throws {
    let name = Mutex("")
    try Thread("a name of twenty-four") { name.withLock { $0 = Self.ownName() } }.join()
    #expect(name.withLock { $0 } == "a name of twent")
  }

  @Test func aThreadThatGivesWayDoesSoFromWhereverItIs() throws {
    let values = Mutex([Int32]())
    let own: @Sendable () -> Int32 = { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }
    try Thread("polite") {
      let before = own()
      Thread.giveWay()
      values.withLock { $0 = [before, own()] }
      _ = nice(2)
      Thread.giveWay()
      values.withLock { $0.append(own()) }
    }.join()
    let before = own()
    #expect(values.withLock { $0 } == [before, min(19, before + 10), 19])
  }

  @Test func joiningWaitsForTheEnd() throws {
    let gate = Monitor(false)
    let isDone = Atomic<Bool>(false)
    let opener = Background { gate.change { $0 = true } }
    let thread = try Thread("joined") {
      _ = gate.wait { $0 ? true : nil }
      isDone.store(true, ordering: .releasing)
    }
    thread.join()
    let wasDone = isDone.load(ordering: .acquiring)
    #expect(wasDone)
    try opener.value
  }

  @Test func aThreadThatIsLetGoRunsOn() throws {
    let gate = Monitor(false)
    let isDone = Atomic<Bool>(false)
    do {
      _ = try Thread("let go") {
        _ = gate.wait { $0 ? true : nil }
        isDone.store(true, ordering: .releasing)
      }
    }
    gate.change { $0 = true }
    #expect(eventually { isDone.load(ordering: .acquiring) })
  }

  private static func takes(_ signal: Int32) -> Bool {
    var mask = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &mask)
    return sigismember(&mask, signal) == 0
  }

  @Test func aThreadTakesTheSignalsOfItsMakerOrNone() throws {
    // Of this test's own thread.
    var signal = sigset_t()
    sigemptyset(&signal)
    sigaddset(&signal, SIGUSR2)
    pthread_sigmask(SIG_UNBLOCK, &signal, nil)
    let taken = Mutex<[Bool]>([])
    try Thread("inherits") { taken.withLock { $0.append(Self.takes(SIGUSR2)) } }.join()
    try Thread("takes none", signals: .blocked) { taken.withLock { $0.append(Self.takes(SIGUSR2)) } }.join()
    #expect(taken.withLock { $0 } == [true, false])
    #expect(Self.takes(SIGUSR2))
  }
}

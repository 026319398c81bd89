// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Reports
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

/// How busy services are: what is summed up, and over which window it is told.
@Suite(.ownThread) struct ServiceLoadTests {
  // MARK: sums

  @Test func aTurnThatIsNotOverCounts() {
    let workforce = Workforce()
    let meter = workforce.join()
    func busy(_ now: Int64) -> Int64 { workforce.sums(at: now, processorTime: false).busy }
    #expect(busy(1000) == 0)
    meter.begin(at: 1000)
    #expect(busy(1000) == 0 && busy(1400) == 400)
    #expect(busy(999) == 0, "a reader who looked at the clock before the turn began")
    meter.began(at: 0)
    meter.ended(.failed)
    meter.began(at: 0)
    meter.ended(.done)
    meter.end(at: 1500)
    #expect(busy(1500) == 500 && busy(9000) == 500, "idle time does not count")
    meter.begin(at: 9000)
    #expect(busy(9100) == 600)
    meter.began(at: 0)
    meter.ended(.timedOut)
    meter.end(at: 9200)
    let sums = workforce.sums(at: 9300, processorTime: false)
    #expect(sums.busy == 700 && sums.turns == 2 && sums.tasks == 3)
    #expect(sums.done == 1 && sums.failed == 1 && sums.timedOut == 1)
  }

  @Test func ofAChannelsOwnThreadItsTasksCountAndNotItsTurns() {
    let workforce = Workforce()
    let meter = workforce.join(ofTasks: true)
    func busy(_ now: Int64) -> Int64 { workforce.sums(at: now, processorTime: false).busy }
    meter.begin(at: 1000)
    #expect(busy(2000) == 0, "it waits for its file")
    let start = Clock.now()
    meter.began(at: start)
    #expect(busy(start + 50) == 50)
    meter.ended(.done)
    meter.rests()
    let whole = busy(.max / 2)
    #expect(whole >= 0 && whole <= Clock.now() - start)
    meter.rests()
    meter.end(at: .max / 2)
    #expect(busy(.max / 2) == whole)
  }

  @Test func whatAWorkerDidStaysWhenItHasEnded() throws {
    let workforce = Workforce()
    let first = workforce.join()
    first.begin(at: 100)
    first.end(at: 300)
    let time = try Background("worker") {
      let meter = workforce.join()
      meter.begin(at: 200)
      // Some processor time, which its clock tells.
      var sum = 0
      while (ThreadClock.ofThisThread()?.nanoseconds() ?? .max) < 2_000_000 { sum &+= 1 }
      meter.began(at: 0)
      meter.end(at: 250)
      workforce.leave(meter)
      return ThreadClock.ofThisThread()?.nanoseconds() ?? 0
    }.value
    let sums = workforce.sums(at: 400, processorTime: false)
    #expect(sums.busy == 250 && sums.turns == 2 && sums.tasks == 1)
    let own = try #require(ThreadClock.ofThisThread()?.nanoseconds())
    let all = workforce.sums(at: 400, processorTime: true).utilised
    let later = try #require(ThreadClock.ofThisThread()?.nanoseconds())
    #expect((own + 2_000_000...time + later).contains(all), "both threads', each once")
  }

  @Test func aDeviceIsInUseWhileAnyOfItsWorkersIs() {
    let time = SharedTime()
    time.enter(at: 100)
    time.enter(at: 150)
    #expect(time.nanoseconds(at: 160) == 60)
    time.leave(at: 200)
    #expect(time.nanoseconds(at: 210) == 110)
    time.leave(at: 300)
    #expect(time.nanoseconds(at: 900) == 200)
    time.enter(at: 1000)
    #expect(time.nanoseconds(at: 1001) == 201)
    time.leave(at: 1010)
  }

  @Test func theClockOfAThreadIsReadFromAnother() throws {
    let clock = Mutex<ThreadClock?>(nil)
    let gate = GateBox()
    gate.close()
    let thread = Background("worker") {
      clock.withLock { $0 = ThreadClock.ofThisThread() }
      while gate.isShut { sched_yield() }
    }
    #expect(eventually { (clock.withLock { $0 }?.nanoseconds() ?? 0) > 1_000_000 })
    gate.open()
    try thread.value
  }

  // MARK: the window

  private func sums(_ at: Int64, _ busy: Int64) -> WorkSums { WorkSums(at: at, busy: busy, utilised: busy / 2) }

  @Test func aWindowLooksBackAsFarAsItIsLong() {
    var window = LoadWindow(sums(0, 0))
    // Busy until 1000, then idle; a sample every 100.
    for time in stride(from: Int64(100), through: 3000, by: 100) {
      window.add(sums(time, min(time, 1000)), span: 1000)
      let load = window.load(until: sums(time, min(time, 1000)), span: 1000)
      let before = max(0, min(time - 1000, 1000))
      let busy = min(time, 1000) - before
      #expect(load == ServiceLoad(window: min(time, 1000), busy: busy, utilised: busy / 2))
    }
    // Between samples it is a little longer, never shorter.
    let load = window.load(until: sums(3050, 1025), span: 1000)
    #expect(load == ServiceLoad(window: 1050, busy: 25, utilised: 12))
  }

  @Test func aMeasurementThatHasJustBegunHasAShorterWindow() {
    let window = LoadWindow(sums(500, 40))
    #expect(window.load(until: sums(500, 40), span: 1000) == nil)
    #expect(window.load(until: sums(520, 60), span: 1000) == ServiceLoad(window: 20, busy: 20, utilised: 10))
  }

  // MARK: services

  private func keepBusy(_ services: Services, _ number: Int, on service: Service) -> (Chore, Session) {
    let chore = Chore()
    let session = chore.session(number, on: service)
    chore.gate.close()
    chore.add(1)
    session.schedule()
    return (chore, session)
  }

  @Test func aWorkerThatIsAtOneTaskAllTheTimeIsBusyAllTheTime() throws {
    let services = try Services(workers: 2)
    let (chore, session) = keepBusy(services, 0, on: services.cpu)
    #expect(eventually { chore.inside.load(ordering: .relaxed) == 1 })
    #expect(services.load.load(of: services.cpu) == nil, "nothing is measured yet")
    try services.load.set(milliseconds: 20, of: services)
    // One of two workers, from the first moment to the last.
    let hasWindow = eventually {
      guard let load = services.load.load(of: services.cpu) else { return false }
      #expect(load.busy == load.window)
      // The clocks of threads are read a moment after the window's end; it sleeps most of the time.
      return load.window >= 20_000_000 && load.utilised <= load.window
    }
    #expect(hasWindow)
    chore.gate.open()
    #expect(eventually { chore.finished == 1 })
    // And once it idles, the window slides out of what was done.
    #expect(eventually { services.load.load(of: services.cpu)?.busy == 0 })
    try services.load.set(milliseconds: 0, of: services)
    #expect(services.load.load(of: services.cpu) == nil)
    #expect(session.halt())
    session.attach(nil)
    services.close()
  }

  @Test func aServiceThatCameLaterHasDoneNothingBefore() throws {
    let services = try Services(workers: 1)
    try services.load.set(milliseconds: 4_294_967_295, of: services)
    let device = try services.join("/dev/video9")
    let (chore, session) = keepBusy(services, 0, on: device)
    // Inside, it has been noted as begun by the worker and by the device.
    #expect(eventually { chore.inside.load(ordering: .relaxed) == 1 && services.load.load(of: device)?.busy ?? 0 > 0 })
    let load = try #require(services.load.load(of: device))
    #expect(load.utilised == load.busy, "one worker: the device is in use while it is")
    #expect(load.busy <= load.window)
    chore.gate.open()
    #expect(session.halt())
    session.attach(nil)
    services.close()
  }

  // MARK: out of work

  @Test func aServiceOutOfWorkEndsWhatRunsAndKeepsWhatWaits() throws {
    let services = try Services(workers: 1)
    let device = try services.join("/dev/video9")
    let (chore, session) = keepBusy(services, 0, on: device)
    #expect(eventually { chore.inside.load(ordering: .relaxed) == 1 })
    chore.add(3)
    session.schedule()
    device.disable(1)
    #expect(device.disabled == 1 && device.obstacle == "service video9, out of work by disable_work")
    chore.gate.open()
    #expect(eventually { chore.finished == 1 && device.figures().waiting == 1 })
    // The CPU's workers go on meanwhile.
    let other = Chore()
    let second = other.session(1, on: services.cpu)
    other.add(100)
    second.schedule()
    #expect(eventually { other.finished == 100 })
    #expect(chore.finished == 1)
    device.disable(0)
    #expect(eventually { chore.finished == 4 })
    #expect(device.obstacle == nil)
    for each in [session, second] {
      #expect(each.halt())
      each.attach(nil)
    }
    services.close()
  }

  @Test func aSessionThatIsMovedAwayFromAServiceOutOfWorkGoesOn() throws {
    let services = try Services(workers: 1)
    let chore = Chore()
    let session = chore.session(on: services.cpu)
    let workplace = Workplace(session, services)
    workplace.work(on: "/dev/video9")
    let device = session.service
    device.disable(7)
    chore.add(5)
    session.schedule()
    #expect(eventually { device.figures().waiting == 1 })
    #expect(chore.finished == 0)
    workplace.work(on: nil)
    #expect(eventually { chore.finished == 5 })
    #expect(eventually { device.workers == 0 && device.figures().waiting == 0 })
    #expect(session.halt())
    session.attach(nil)
    services.close()
  }

  @Test func aSessionOfAServiceOutOfWorkComesToRestAtOnce() throws {
    let services = try Services(workers: 1)
    let chore = Chore()
    let session = chore.session(on: services.cpu)
    let workplace = Workplace(session, services)
    workplace.work(on: "/dev/video9")
    let device = session.service
    device.disable(1)
    chore.add(1)
    session.schedule()
    #expect(eventually { device.figures().waiting == 1 })
    // Far longer than it may take, so that one that is not taken fails the test.
    #expect(session.halt(patience: .seconds(30)) && session.isIdle && chore.finished == 0)
    #expect(device.figures().waiting == 0)
    var isBetween = false
    session.resume()
    #expect(session.between(patience: .seconds(30)) { isBetween = true } && isBetween)
    device.disable(0)
    #expect(eventually { chore.finished == 1 })
    #expect(session.halt())
    session.attach(nil)
    services.close()
  }

  // MARK: which there are

  @Test func servicesComeAndGoWithDevices() throws {
    let services = try Services(workers: 1)
    let changes = Atomic<Int>(0)
    services.onChange { changes.add(1, ordering: .relaxed) }
    func names() -> [String] { services.all.map(\.name) }
    services.follow(["/dev/video2", "/dev/video1"])
    #expect(names() == ["cpu", "/dev/video1", "/dev/video2"])
    services.follow(["/dev/video2", "/dev/video1"])
    #expect(changes.load(ordering: .relaxed) == 1)
    // One that somebody works on stays until he has left it.
    let session = Session(ObjectPath("venc", 0)!, service: services.cpu)
    let workplace = Workplace(session, services)
    workplace.work(on: "/dev/video1")
    services.follow([])
    #expect(names() == ["cpu", "/dev/video1"])
    workplace.work(on: nil)
    #expect(names() == ["cpu"])
    #expect(changes.load(ordering: .relaxed) == 3)
    services.close()
  }

  // MARK: slow tasks

  private func task(_ number: UInt64, finished: Int64) -> TaskTimes {
    TaskTimes(
      path: ObjectPath("venc", 0)!, number: number, outcome: .done, created: finished - 34_567_000,
      started: finished - 20_500_000, finished: finished)
  }

  @Test func slowTasksAreLoggedByTheirStages() {
    let slow = SlowTasks()
    let service = Service(name: "/dev/video11", isDevice: true)
    let lines = Mutex<[String]>([])
    func note(_ task: TaskTimes) { slow.note(task, took: task.whole, on: service) }
    slow.microseconds = 30_000
    note(task(1, finished: .seconds(10)))
    #expect(lines.withLock { $0.isEmpty }, "timing is not on")
    slow.log(to: { line in lines.withLock { $0.append(line) } })
    note(task(1234, finished: .seconds(10)))
    #expect(
      lines.withLock { $0 } == [
        "task 1234 dump timing at 34567 us: venc/0 on video11, done",
        " timing: create         : 0 us", " timing: run            : 14067 us",
        " timing: finish         : 34567 us",
      ])
    // What follows at once is counted, and said with the next one.
    lines.withLock { $0 = [] }
    note(task(1235, finished: .seconds(10) + .milliseconds(33)))
    note(task(1236, finished: .seconds(10) + .milliseconds(66)))
    #expect(lines.withLock { $0.isEmpty })
    var last = task(1237, finished: .seconds(11))
    last.created = .seconds(10)
    last.started = .seconds(10)
    last.outcome = .timedOut
    note(last)
    #expect(
      lines.withLock { $0 } == [
        "2 more slow tasks on video11", "task 1237 dump timing at 1000000 us: venc/0 on video11, timed out",
        " timing: create         : 0 us", " timing: run            : 0 us",
        " timing: finish         : 1000000 us",
      ])
    lines.withLock { $0 = [] }
    slow.microseconds = 0
    note(task(1238, finished: .seconds(20)))
    slow.microseconds = 34_567
    note(task(1239, finished: .seconds(30)))
    #expect(lines.withLock { $0.isEmpty }, "a task that takes as long as it may is not slow")
  }
}

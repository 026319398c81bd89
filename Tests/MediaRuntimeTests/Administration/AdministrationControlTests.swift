// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import MediaRuntime
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

private let pipeline = """
  vi/0/enable = 1
  vpss/0/source = vi/0
  vpss/0/enable = 1
  vpss/0/0/enable = 1
  venc/0/source = vpss/0/0
  venc/0/enable = 1

  """

private let gone = Failure(.ioError, "VIDIOC_STREAMON", on: "/dev/video0", "cable out")

@Suite(.ownThread) struct AdministrationControlTests {
  @Test func startingAndStoppingGoAlongTheChain() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    let starts = fake.factory.journal.take().filter { $0.hasPrefix("start") }
    #expect(starts == ["start vi/0", "start vpss/0", "start vpss/0/0", "start venc/0"])
    #expect(fake.load("replace\n# nothing\n") == nil)
    let steps = fake.factory.journal.take().filter { $0.hasPrefix("stop") }
    #expect(steps == ["stop vi/0", "stop vpss/0", "stop vpss/0/0", "stop venc/0"])
    #expect(fake.runtime.objects.isEmpty)
    #expect(fake.factory.live.withLock { $0.count } == 0)
  }

  @Test func aDevicesRefusalRollsBackEnableAndAllThatCameWithIt() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("vi/0/width = 1280\nvenc/0/source = vi/0\n") == nil)
    let before = fake.picture
    fake.factory.failures.withLock { $0[p("vi/0")] = gone }
    let refusal = fake.apply(
      .set(p("vi/0"), "width", "640"), .set(p("vi/0"), "enable", "1"), .create(p("venc/1")),
      .set(p("venc/1"), "source", "vi/0"),
      .set(p("venc/0"), "source", ""), .set(p("venc/0"), "enable", "1"))
    #expect(refusal?.errno == .ioError)
    #expect(refusal?.path == "vi/0/enable")
    #expect(refusal?.reason.contains("cable out") == true)
    #expect(fake.picture == before)
    #expect(fake.runtime.errorLog.total == 1)
  }

  @Test func whatRanBeforeRunsAgainAfterAFailedChange() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    let before = fake.picture
    fake.factory.failures.withLock { $0[p("venc/1")] = gone }
    #expect(
      fake.apply(
        .set(p("vi/0"), "width", "640"), .set(p("vi/0"), "enable", "1"), .create(p("venc/1")),
        .set(p("venc/1"), "enable", "1"))?
        .errno == .ioError)
    #expect(fake.picture == before)
    #expect(fake.factory.object(p("vi/0"))?.state.withLock { $0.isRunning } == true)

    // If that cannot be had, nothing may say that it runs.
    fake.factory.failures.withLock { $0[p("vi/0")] = gone }
    #expect(fake.apply(.set(p("vi/0"), "width", "640"), .set(p("vi/0"), "enable", "1"))?.errno == .ioError)
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "0")
    #expect(fake.runtime.setting(p("vi/0"), "width") == "auto")
    #expect(fake.runtime.errorLog.records.contains { $0.errno == 0 && $0.path == "vi/0/enable" })
  }

  @Test func anObjectIsMadeOnceAlsoWhenADeviceIsInvolved() throws {
    let fake = try FakeRuntime()
    #expect(fake.apply(.create(p("vi/0")), .set(p("vi/0"), "enable", "1")) == nil)
    #expect(fake.factory.journal.take() == ["commit vi/0 enable", "start vi/0"])
    #expect(fake.runtime.objects.map(\.generation) == [1])
    fake.factory.failures.withLock { $0[p("vi/1")] = gone }
    #expect(fake.apply(.create(p("vi/1")), .set(p("vi/1"), "enable", "1"))?.errno == .ioError)
    #expect(
      fake.factory.journal.take() == ["commit vi/1 enable", "refuse vi/1", "commit vi/1 enable", "retire vi/1"])
  }

  @Test func enablingWhatHasFailedStartsItAnew() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    _ = fake.factory.journal.take()
    #expect(fake.apply(.set(p("vi/0"), "enable", "1")) == nil)
    #expect(fake.factory.journal.take() == [])
    let input = try #require(fake.factory.object(p("vi/0")))
    input.state.withLock { $0.hasFailed = true }
    #expect(fake.apply(.set(p("vi/0"), "enable", "1")) == nil)
    #expect(fake.factory.journal.take() == ["stop vi/0", "start vi/0"])
    // If it still cannot, enable says so.
    input.state.withLock { $0.hasFailed = true }
    fake.factory.failures.withLock { $0[p("vi/0")] = gone }
    #expect(fake.apply(.set(p("vi/0"), "enable", "1"))?.errno == .ioError)
    #expect(fake.runtime.setting(p("vi/0"), "enable") == "0")
    #expect(fake.runtime.errorLog.total == 1)
  }

  @Test func aDeviceThatHangsHoldsUpNobodyElse() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("vi/0/width = 1280\nvi/1/width = 1280\nvenc/0/source = vi/1\n") == nil)
    let gate = Gate()
    fake.factory.gates.withLock { $0[p("vi/0")] = gate }
    let enable = Answer()
    fake.runtime.apply([.set(p("vi/0"), "enable", "1")], reply: enable.reply)
    #expect(gate.waitForVisitor())

    let reading = fake.runtime.settings(of: p("vi/0"))
    #expect(reading?.contains(KeyValue(key: "enable", value: "0")) == true)
    #expect(!fake.runtime.configText().isEmpty)
    for change: Change in [
      .set(p("venc/0"), "bitrate", "900"), .create(p("venc/4")), .remove(p("venc/4")), .command(p("venc/0"), "idr", []),
      .set(p("venc/0"), "source", ""), .set(p("venc/0"), "gop", "0"),
    ] {
      let answer = Answer()
      fake.runtime.apply([change], reply: answer.reply)
      #expect(answer.count == 1, "\(change)")
    }

    // The same object waits its turn, in order, and so does whoever would depend on it.
    let order = Mutex<[Int]>([])
    let later = [Answer(), Answer(), Answer()]
    let changes: [Change] = [
      .set(p("vi/0"), "enable", "0"), .set(p("venc/0"), "source", "vi/0"), .remove(p("vi/0")),
    ]
    for (index, change) in changes.enumerated() {
      fake.runtime.apply([change]) { refusal in
        order.withLock { $0.append(index) }
        later[index].reply(refusal)
      }
    }
    #expect(later.map(\.count) == [0, 0, 0])
    #expect(enable.count == 0)
    gate.open()
    #expect(enable.wait() == nil)
    #expect(later[0].wait() == nil)
    #expect(later[1].wait() == nil)
    #expect(later[2].wait()?.reason == "gives its frames to venc/0")
    #expect(order.withLock { $0 } == [0, 1, 2])
    #expect(fake.runtime.setting(p("venc/0"), "source") == "vi/0")
  }

  @Test func aLateFailureIsInTheErrorLogBeforeItIsAnswered() throws {
    let fake = try FakeRuntime()
    #expect(fake.apply(.create(p("vi/0"))) == nil)
    let gate = Gate()
    fake.factory.gates.withLock { $0[p("vi/0")] = gate }
    fake.factory.failures.withLock { $0[p("vi/0")] = gone }
    let logged = Mutex<UInt64?>(nil)
    let answer = Answer()
    fake.runtime.apply([.set(p("vi/0"), "enable", "1")]) { refusal in
      logged.withLock { $0 = fake.runtime.errorLog.total }
      answer.reply(refusal)
    }
    #expect(gate.waitForVisitor())
    gate.open()
    #expect(answer.wait()?.errno == .ioError)
    #expect(logged.withLock { $0 } == 1)
  }

  @Test func theListenerHearsEveryChangeOnceInOrderBeforeTheWriterIsAnswered() throws {
    let fake = try FakeRuntime()
    let alive = Mutex<Set<ObjectIdentity>>([])
    let wrong = Atomic<Int>(0)
    fake.runtime.objectsChanged { change in
      _ = fake.runtime.objects
      alive.withLock { alive in
        for object in change.created where !alive.insert(object).inserted { wrong.add(1, ordering: .relaxed) }
        for object in change.removed where alive.remove(object) == nil { wrong.add(1, ordering: .relaxed) }
      }
    }
    onThreads(6, "writer") { writer in
      let path = ObjectPath("venc", writer % 3)!
      for round in 0..<300 {
        let answer = Answer()
        fake.runtime.apply([round % 2 == 0 ? .create(path) : .remove(path)], reply: answer.reply)
        if answer.wait() == nil, writer >= 3 { continue }
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    #expect(alive.withLock { $0 } == Set(fake.runtime.objects))
    let answered = Mutex(false)
    let probe: ObjectPath = p("venc/9")
    fake.runtime.apply([.create(probe)]) { _ in
      answered.withLock { $0 = alive.withLock { $0.contains { $0.path == probe } } }
    }
    #expect(answered.withLock { $0 })
  }

  @Test func theEndStopsEverythingInOrderAndRefusesWhatComesLater() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    _ = fake.factory.journal.take()
    #expect(fake.runtime.shutDown(milliseconds: 20_000))
    let steps = fake.factory.journal.take()
    #expect(steps.filter { $0.hasPrefix("stop") } == ["stop vi/0", "stop vpss/0", "stop vpss/0/0", "stop venc/0"])
    #expect(fake.factory.live.withLock { $0.count } == 0)
    #expect(fake.apply(.create(p("vi/3")))?.errno == .operationNotSupportedByDevice)
    #expect(fake.runtime.shutDown(milliseconds: 20_000))
  }

  @Test func theEndDoesNotWaitForADeviceThatHangs() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("vi/0/width = 640\nvi/1/enable = 1\n") == nil)
    let gate = Gate()
    fake.factory.gates.withLock { $0[p("vi/0")] = gate }
    let hung = Answer()
    let queued = Answer()
    fake.runtime.apply([.set(p("vi/0"), "enable", "1")], reply: hung.reply)
    #expect(gate.waitForVisitor())
    fake.runtime.apply([.set(p("vi/0"), "width", "800")], reply: queued.reply)
    #expect(!fake.runtime.shutDown(milliseconds: 50))
    #expect(fake.runtime.unended == [p("vi/0")])
    gate.open()
    #expect(hung.wait() == nil)
    #expect(queued.wait()?.errno == .operationNotSupportedByDevice)
    #expect(fake.runtime.shutDown(milliseconds: 20_000))
    #expect(fake.runtime.unended.isEmpty)
    #expect(fake.factory.live.withLock { $0.count } == 0)
    #expect(hung.count == 1 && queued.count == 1)
  }
}

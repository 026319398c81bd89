// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import MediaRuntime
import Synchronization
import SystemPackage
import TestSupport
import Testing

private let pipeline = """
  vi/0/input = pattern
  vpss/0/source = vi/0
  vpss/0/0/width = 1280
  vpss/0/1/width = 640
  venc/0/source = vpss/0/0
  venc/1/codec = mjpeg
  venc/1/source = vpss/0/1

  """

@Suite(.ownThread) struct AdministrationTransactionTests {
  @Test func aRefusedWriteChangesNothingAndLeavesOneLine() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    let table = fake.runtime.settingsTable
    let values: [[UInt8]] = [
      [], Array("x".utf8), Array("-5".utf8), Array("2M".utf8), Array("99999999999999999999".utf8), [0], [0xff, 0x0a],
      Array("1\n2".utf8), [UInt8](repeating: 0x39, count: 65536), Array("vi/7".utf8),
    ]
    let before = fake.picture
    var refused: UInt64 = 0
    for object in fake.runtime.objects {
      for attribute in table.attributes(object.path.type) {
        for value in values {
          let change: Change =
            attribute.kind == .command
            ? .command(object.path, attribute.key, value) : .set(object.path, attribute.key, value)
          if value.isEmpty, case .source = attribute.type { continue }
          if value.isEmpty, case .pool = attribute.type { continue }
          if value.isEmpty, case .rectangle = attribute.type { continue }
          if value.isEmpty, case .part = attribute.type { continue }
          if value.isEmpty, attribute.kind == .command { continue }
          let refusal = fake.apply(change)
          refused += 1
          #expect(refusal != nil, "\(object.path)/\(attribute.key) took \(value.prefix(20))")
          #expect(fake.runtime.errorLog.total == refused)
          let line = try #require(fake.runtime.errorLog.records.last)
          #expect(line.path == "\(object.path)/\(attribute.key)")
          #expect(line.errno == refusal?.errno.rawValue)
          #expect(!line.errnoName.isEmpty && !line.errnoName.hasSuffix("\(line.errno)"))
          #expect(line.value == Array(value.prefix(256)))
          #expect(line.valueLength == (value.count > 256 ? value.count : nil))
        }
      }
    }
    #expect(refused > 300)
    #expect(fake.picture == before)
  }

  @Test func oneBadPartRefusesTheWholeTransaction() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    let before = fake.picture
    let refusal = fake.apply(
      .create(p("venc/5")), .set(p("venc/0"), "bitrate", "3000"), .set(p("venc/5"), "gop", "30"),
      .set(p("venc/0"), "gop", "0"))
    #expect(refusal?.errno == .outOfRange)
    #expect(refusal?.path == "venc/0/gop")
    #expect(fake.picture == before)
    #expect(fake.factory.object(p("venc/5")) == nil)
    // What only the module knows counts as much.
    fake.factory.checks.withLock { $0[p("venc/1")] = Refusal(.notSupported, path: "venc/1/quality", reason: "not so") }
    let second = fake.apply(.set(p("venc/0"), "bitrate", "3000"), .set(p("venc/1"), "quality", "20"))
    #expect(second?.reason == "not so")
    #expect(second?.value == Array("20".utf8))
    #expect(fake.picture == before)
  }

  @Test func changesWithoutADeviceAreAnsweredOnTheCallersThread() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    let caller = pthread_self()
    let same = Mutex<[Bool]>([])
    for change: Change in [
      .create(p("venc/7")), .set(p("venc/7"), "bitrate", "700"), .set(p("venc/7"), "source", "vi/0"),
      .set(p("venc/7"), "source", ""),
      .remove(p("venc/7")), .command(p("venc/0"), "idr", [0x31]), .set(p("venc/0"), "bitrate", "0"),
    ] {
      fake.runtime.apply([change]) { _ in same.withLock { $0.append(pthread_self() == caller) } }
    }
    #expect(same.withLock { $0 } == [Bool](repeating: true, count: 7))
  }

  @Test func objectsComeAndGoByTheRules() throws {
    let fake = try FakeRuntime()
    #expect(fake.apply(.create(p("vpss/0/1")))?.errno == .noSuchFileOrDirectory)
    #expect(fake.apply(.create(p("rgn/0")))?.errno == .notSupported)
    #expect(fake.apply(.create(p("venc/60")))?.errno == .noSpace)
    #expect(fake.load(pipeline) == nil)
    #expect(fake.apply(.create(p("vi/0")))?.errno == .fileExists)
    let first = try #require(fake.runtime.objects.first { $0.path == p("venc/0") })
    let source = fake.apply(.remove(p("vi/0")))
    #expect(source?.errno == .resourceBusy)
    #expect(source?.reason == "gives its frames to vpss/0")
    #expect(fake.apply(.remove(p("vpss/0")))?.errno == .directoryNotEmpty)
    #expect(fake.apply(.remove(p("venc/9")))?.errno == .noSuchFileOrDirectory)
    #expect(fake.apply(.set(p("venc/0"), "enable", "1")) == nil)
    let running = fake.apply(.remove(p("venc/0")))
    #expect(running?.errno == .resourceBusy)
    #expect(running?.hint == "stop it first: echo 0 > venc/0/enable")
    #expect(fake.apply(.set(p("venc/0"), "enable", "0")) == nil)
    let object = try #require(fake.factory.object(p("venc/0")))
    #expect(fake.apply(.remove(p("venc/0"))) == nil)
    #expect(object.state.withLock { $0.isRetired })
    #expect(fake.factory.bindings.withLock { $0[p("venc/0")] } == nil)
    #expect(fake.runtime.settings(of: p("venc/0")) == nil)
    #expect(fake.apply(.set(p("venc/0"), "bitrate", "100"))?.errno == .noSuchFileOrDirectory)
    #expect(fake.apply(.create(p("venc/0"))) == nil)
    let second = try #require(fake.runtime.objects.first { $0.path == p("venc/0") })
    #expect(second.generation != first.generation)
    #expect(fake.runtime.setting(p("venc/0"), "source") == "")
  }

  @Test func bindingFollowsItsRules() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    _ = fake.factory.journal.take()
    #expect(fake.apply(.set(p("venc/0"), "source", "vpss/0/0")) == nil)
    #expect(fake.factory.journal.take() == [])
    #expect(fake.apply(.set(p("venc/0"), "source", "vi/0")) == nil)
    #expect(fake.factory.journal.take() == ["commit venc/0 source", "bind venc/0 vi/0"])
    #expect(fake.apply(.set(p("venc/0"), "source", "\n")) == nil)
    #expect(fake.apply(.set(p("venc/0"), "source", "\n")) == nil)
    #expect(fake.factory.journal.take() == ["commit venc/0 source", "bind venc/0 -"])

    let missing = fake.apply(.set(p("venc/0"), "source", "vi/3"))
    #expect(missing?.errno == .noSuchFileOrDirectory && missing?.hint == "mkdir vi/3 makes it")
    let own = fake.apply(.set(p("vpss/0"), "source", "vpss/0/1"))
    #expect(own?.errno == .tooManySymbolicLinkLevels)
    #expect(own?.reason == "would make a loop: vpss/0 <- vpss/0/1")

    #expect(fake.apply(.create(p("vpss/1")), .create(p("vpss/1/0")), .set(p("vpss/1"), "source", "vpss/0/0")) == nil)
    let loop = fake.apply(.set(p("vpss/0"), "source", "vpss/1/0"))
    #expect(loop?.reason == "would make a loop: vpss/0 <- vpss/1/0 <- vpss/0/0")
    #expect(fake.runtime.setting(p("vpss/0"), "source") == "vi/0")
  }

  @Test func aTransactionMayTurnAChainRound() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    #expect(fake.apply(.create(p("vpss/1")), .create(p("vpss/1/0")), .set(p("vpss/1"), "source", "vpss/0/0")) == nil)
    _ = fake.factory.journal.take()
    #expect(fake.apply(.set(p("vpss/0"), "source", "vpss/1/0"), .set(p("vpss/1"), "source", "vi/0")) == nil)
    #expect(fake.factory.bindings.withLock { $0[p("vpss/0")] } == p("vpss/1/0"))
    #expect(fake.factory.bindings.withLock { $0[p("vpss/1")] } == p("vi/0"))
    let steps = fake.factory.journal.take().filter { $0.hasPrefix("bind") }
    #expect(steps == ["bind vpss/0 -", "bind vpss/1 -", "bind vpss/0 vpss/1/0", "bind vpss/1 vi/0"])
  }

  @Test func whatCannotChangeWhileRunningIsBusy() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    #expect(fake.apply(.set(p("vi/0"), "enable", "1")) == nil)
    let before = fake.picture
    let busy = fake.apply(.set(p("vi/0"), "width", "640"))
    #expect(busy?.errno == .resourceBusy)
    #expect(busy?.reason == "cannot change while vi/0 is running")
    #expect(busy?.hint == "stop it first: echo 0 > vi/0/enable")
    #expect(busy?.value == Array("640".utf8))
    #expect(fake.picture == before)
    #expect(fake.apply(.set(p("vi/0"), "width", "auto")) == nil)
    #expect(fake.apply(.set(p("venc/0"), "codec", "mjpeg")) == nil)
    // Whoever writes enable too asks for a new start.
    _ = fake.factory.journal.take()
    #expect(fake.apply(.set(p("vi/0"), "width", "640"), .set(p("vi/0"), "enable", "1")) == nil)
    #expect(fake.factory.journal.take() == ["stop vi/0", "commit vi/0 width", "start vi/0"])
  }

  @Test func commandsStandAlone() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    _ = fake.factory.journal.take()
    #expect(fake.apply(.command(p("venc/0"), "idr", Array("1\n".utf8))) == nil)
    #expect(fake.factory.journal.take() == ["idr venc/0"])
    #expect(fake.apply(.command(p("venc/0"), "idr", []), .set(p("venc/0"), "gop", "30"))?.errno == .invalidArgument)
    #expect(fake.apply(.set(p("venc/0"), "gop", "30"), .command(p("venc/0"), "idr", []))?.errno == .invalidArgument)
    #expect(fake.apply(.command(p("venc/0"), "gop", Array("30".utf8)))?.errno == .invalidArgument)
    #expect(fake.apply(.set(p("venc/0"), "idr", "1"))?.errno == .invalidArgument)
    #expect(fake.runtime.setting(p("venc/0"), "gop") == "60")
    #expect(fake.factory.journal.take() == [])
  }

  @Test func writersSideBySideNeverMixTheirTransactions() throws {
    let fake = try FakeRuntime()
    #expect(fake.load(pipeline) == nil)
    let done = Atomic<Bool>(false)
    let mixed = Atomic<Int>(0)
    let seen = Atomic<Int>(0)
    let readers = (0..<2).map { reader in
      Background("reader\(reader)") {
        repeat {
          let settings = fake.runtime.settings(of: p("venc/0")) ?? []
          let values = ["bitrate", "gop"].map { key in settings.first { $0.key == key }?.value ?? "" }
          if values[0] != values[1], values != ["2000", "60"] { mixed.add(1, ordering: .relaxed) }
          seen.add(1, ordering: .relaxed)
        } while !done.load(ordering: .relaxed)
      }
    }
    onThreads(6, "writer") { writer in
      for round in 0..<400 {
        let value = String(2 + (round * 6 + writer) % 1000)
        var changes: [Change] = [.set(p("venc/0"), "bitrate", value), .set(p("venc/0"), "gop", value)]
        if round % 7 == 0 { changes.append(.set(p("venc/0"), "fps_dst", "999")) }
        if round % 11 == 0 { changes.append(.set(p("venc/0"), "enable", round % 2 == 0 ? "1" : "0")) }
        let answer = Answer()
        fake.runtime.apply(changes, reply: answer.reply)
        let refusal = answer.wait()
        if (refusal != nil) != (round % 7 == 0) { mixed.add(1, ordering: .relaxed) }
      }
    }
    done.store(true, ordering: .relaxed)
    for reader in readers { try reader.value }
    #expect(mixed.load(ordering: .relaxed) == 0)
    #expect(seen.load(ordering: .relaxed) > 0)
    let object = try #require(fake.factory.object(p("venc/0")))
    let settings = object.state.withLock { $0.settings }
    #expect(settings.integer("bitrate") == settings.integer("gop"))
    #expect(fake.runtime.setting(p("venc/0"), "bitrate") == settings.integer("bitrate").map(String.init))
    #expect(fake.runtime.setting(p("venc/0"), "enable") == (object.state.withLock { $0.isRunning } ? "1" : "0"))
  }

  @Test func whoLeavesIsNotAskedWhetherTheRestIsInOrder() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("vi/0/enable = 1\nvenc/0/source = vi/0\nvenc/0/enable = 1\n") == nil)
    let refusal = Refusal(.outOfRange, path: "venc/0/codec", reason: "its source is too large")
    fake.factory.checks.withLock { $0[p("venc/0")] = refusal }
    #expect(fake.apply(.set(p("venc/0"), "gop", "9"))?.errno == .outOfRange)
    #expect(fake.apply(.set(p("venc/0"), "enable", "0")) == nil)
    #expect(fake.apply(.set(p("venc/0"), "enable", "1"))?.errno == .outOfRange)
    #expect(fake.apply(.set(p("venc/0"), "source", "")) == nil)
    #expect(fake.apply(.set(p("venc/0"), "source", "vi/0")) == nil)
    #expect(fake.apply(.remove(p("venc/0"))) == nil)
  }
}

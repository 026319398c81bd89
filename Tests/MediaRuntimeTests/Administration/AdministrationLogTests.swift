// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import MediaRuntime
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@Suite(.ownThread) struct AdministrationLogTests {
  @Test func theErrorLogKeepsTheLast256InOrderAndCountsAll() {
    let log = ErrorLog()
    for number in 0..<1000 {
      log.record(Refusal(.outOfRange, path: "venc/0/gop", value: Array("\(number)".utf8), reason: "r", hint: "h"))
    }
    let records = log.records
    #expect(records.map { String(decoding: $0.value, as: UTF8.self) } == (744..<1000).map(String.init))
    #expect(records.allSatisfy { $0.errnoName == "ERANGE" && $0.errno == 34 && $0.hint == "h" })
    for (a, b) in zip(records, records.dropFirst()) {
      #expect(a.clocks.monotonicMicroseconds <= b.clocks.monotonicMicroseconds)
    }
    let now = Int64(Date().timeIntervalSince1970 * 1_000_000)
    #expect(abs(records[0].clocks.realtimeMicroseconds - now) < 60_000_000)
    #expect(log.total == 1000)
    log.clear()
    #expect(log.records.isEmpty && log.total == 1000)
    log.record(Failure(.ioError, "read", on: "/dev/video0", "gone"), path: "vi/0")
    #expect(log.records.map(\.errno) == [0])
    #expect(log.records[0].reason == "read /dev/video0: Input/output error (gone)")
  }

  @Test func oneReasonForManyPathsIsOneRecord() {
    let log = ErrorLog()
    log.record(Refusal(.outOfRange, path: "venc/0/gop", value: [48], reason: "r"))
    for number in 0..<1000 {
      log.record(Refusal(.notPermitted, path: "venc/\(number)", reason: "entries"))
      if number % 10 == 0 { log.record(Refusal(.permissionDenied, path: "vi/\(number)", reason: "fixed", hint: "h")) }
    }
    let records = log.records
    #expect(records.map(\.path) == ["venc/0/gop", "vi/990", "venc/999"], "the last path of each")
    #expect(records.map(\.others) == [0, 99, 999])
    #expect(log.total == 1101)
    // Values that were written each stand for themselves, and so does what broke.
    for _ in 0..<2 {
      log.record(Refusal(.outOfRange, path: "venc/0/gop", value: [48], reason: "r"))
      log.record(Failure(.ioError, "read", on: "/dev/video0"), path: "vi/0")
    }
    #expect(log.records.count == 7)
    // What is some lines back is not taken up again.
    for number in 0..<8 { log.record(Refusal(.outOfRange, path: "x", value: [UInt8(number)], reason: "r")) }
    log.record(Refusal(.notPermitted, path: "venc/1", reason: "entries"))
    #expect(log.records.last?.others == 0 && log.records.count == 16)
  }

  @Test func theErrorLogTakesManyWritersAndReadersAtOnce() {
    let log = ErrorLog()
    onThreads(8) { worker in
      for number in 0..<500 {
        log.record(Refusal(.invalidArgument, path: "\(worker)", value: [UInt8(number & 0xff)], reason: "r"))
        if number % 50 == 0 { #expect(log.records.count <= 256) }
      }
    }
    #expect(log.total == 4000 && log.records.count == 256)
  }

  @Test func eachModuleHasItsLevel() throws {
    let log = ModuleLog()
    #expect(log.modules.allSatisfy { log.level(of: $0) == 4 })
    log.record(ModuleKind("venc"), .debug, "not kept")
    log.record(ModuleKind("venc"), .information, "kept")
    try log.command(Array("venc=5\n".utf8))
    log.record(ModuleKind("venc"), .debug, "debug")
    log.record(ModuleKind("vi"), .debug, "not kept")
    try log.command(Array("all=2".utf8))
    log.record(ModuleKind("venc"), .warning, "not kept")
    log.record(.system, .error, "error\r\nforged")
    #expect(log.records.map(\.text) == ["kept", "debug", "error??forged"])
    #expect(log.records[0].function == "eachModuleHasItsLevel")
    for level in [0, 1] {
      try log.command(Array("all=\(level)\n".utf8))
      log.record(.system, .error, "not kept")
    }
    #expect(log.records.count == 3)
    try log.command(Array("clear\n".utf8))
    #expect(log.records.isEmpty)
  }

  @Test func aLevelThatIsOffMakesNoText() {
    let log = ModuleLog()
    let made = Atomic<Int>(0)
    func text() -> String {
      made.add(1, ordering: .relaxed)
      return "text"
    }
    for _ in 0..<1000 { log.record(ModuleKind("venc"), .debug, text()) }
    #expect(made.load(ordering: .relaxed) == 0)
    log.record(ModuleKind("venc"), .error, text())
    #expect(made.load(ordering: .relaxed) == 1)
  }

  @Test func whatIsKeptFitsTheVendorsBufferAndStaysInOrderOfTime() {
    let log = ModuleLog()
    let modules = log.modules
    for number in 0..<5000 {
      log.record(
        modules[number % modules.count], .information, "line \(number) " + String(repeating: "x", count: number % 90))
    }
    let records = log.records
    // No stamp is shorter than 40 bytes, none longer than 130 with this function's name.
    let text = records.reduce(0) { $0 + $1.text.utf8.count }
    #expect(text + 40 * records.count <= ModuleLog.capacity)
    #expect(text + 130 * (records.count + 1) + 100 > ModuleLog.capacity)
    #expect(records.last?.text.hasPrefix("line 4999") == true)
    for (a, b) in zip(records, records.dropFirst()) {
      #expect(a.monotonicMicroseconds <= b.monotonicMicroseconds)
    }
    let numbers = records.compactMap { Int($0.text.split(separator: " ")[1]) }
    #expect(numbers == Array(5000 - numbers.count..<5000))
    log.record(.system, .error, String(repeating: "long ", count: 100_000))
    #expect(log.records.last?.text.utf8.count == 512)
  }

  @Test(arguments: [
    ("", Errno.invalidArgument), ("\n", .invalidArgument), ("venc", .invalidArgument), ("venc=", .invalidArgument),
    ("venc=six", .invalidArgument), ("venc=6", .outOfRange), ("venc=-1", .invalidArgument),
    ("audio=3", .noSuchFileOrDirectory),
    ("=3", .noSuchFileOrDirectory), ("venc=3=3", .invalidArgument), ("venc = 3", .invalidArgument),
    ("Clear", .invalidArgument),
    ("all=99999999999999999999", .outOfRange), ("venc=3\nvi=3", .invalidArgument),
    (String(repeating: "a", count: 65536), .argListTooLong),
  ])
  func badCommandsChangeNoLevel(text: String, errno: Errno) throws {
    let fake = try FakeRuntime()
    fake.runtime.moduleLog.record(.system, .error, "stays")
    let refusal = #expect(throws: Refusal.self) { try fake.runtime.logCommand(Array(text.utf8)) }
    #expect(refusal?.errno == errno)
    #expect(refusal?.path == "vlog" && refusal?.hint.contains("venc") == true)
    #expect(fake.runtime.moduleLog.modules.allSatisfy { fake.runtime.moduleLog.level(of: $0) == 4 })
    #expect(fake.runtime.moduleLog.records.count == 1)
    #expect(fake.runtime.errorLog.total == 1)
  }

  @Test func helpNamesEveryAttributeWithItsRangeUnitAndDefault() throws {
    let help = try FakeRuntime().runtime.help()
    let bitrate = try #require(help.first { $0.path == "venc/N/bitrate" })
    #expect(bitrate.kind == .setting && bitrate.type == "integer" && bitrate.range == "2..200000")
    #expect(bitrate.unit == "kbps" && bitrate.defaultValue == "2000" && bitrate.isLive == true)
    #expect(bitrate.note?.contains("effect: 15 % within 3 times 2 s") == true)
    #expect(help.first { $0.path == "venc/N/codec" }?.range == "h264 mjpeg")
    #expect(help.first { $0.path == "venc/N/stream" }?.kind == .stream)
    #expect(help.first { $0.path == "venc/N/idr" }?.kind == .command)
    #expect(help.first { $0.path == "vpss/N/M/rotation" }?.isLive == false)
    #expect(help.allSatisfy { !($0.note ?? "").isEmpty })
    #expect(Set(help.map(\.path)).count == help.count)
  }
}

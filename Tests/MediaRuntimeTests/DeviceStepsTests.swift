// SPDX-License-Identifier: Apache-2.0
import Codecs
import Glibc
import MediaCore
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// Work that a device's scaler can do only a part of.
@Suite(.ownThread) struct DeviceStepsTests {
  /// What a device is asked to do.
  private final class Asked: Sendable {
    let works = Mutex<Set<String>>([])
    var all: Set<String> { works.withLock { $0 } }
  }

  /// Scales and converts between some formats; neither crops nor turns.
  private struct LimitedFactory: ScalerFactory {
    let name = "/dev/video8"
    let isHardware = true
    let asked: Asked
    var formats: [PixelFormat] = [.nv12]
    var refuses = GateBox()

    func supports(from: PixelFormat, to: PixelFormat, transform: PictureTransform) -> Bool {
      formats.contains(from) && formats.contains(to) && transform.isIdentity
    }
    func supports(_ from: FrameLayout, crop: Rectangle?, transform: PictureTransform, to: FrameLayout) -> Bool {
      supports(from: from.format, to: to.format, transform: transform) && crop == nil
    }
    func open() throws(Failure) -> any Scaler {
      if refuses.isShut { throw Failure(.resourceBusy, "open", on: name) }
      guard let factory = SoftwareCodecs.scalerFactories().first else {
        throw Failure(.notSupported, "open", on: "test")
      }
      return LimitedScaler(try factory.open(), asked)
    }
  }

  private final class LimitedScaler: Scaler, @unchecked Sendable {
    private let scaler: any Scaler
    private let asked: Asked
    init(_ scaler: any Scaler, _ asked: Asked) { (self.scaler, self.asked) = (scaler, asked) }
    var engine: String { "limited 1" }
    func scale(
      _ source: borrowing Frame, crop: Rectangle?, transform: PictureTransform, to destination: inout Frame
    ) throws(Failure) -> Int {
      let (from, to) = (source.layout, destination.layout)
      let isMore = crop != nil || !transform.isIdentity
      asked.works.withLock {
        _ = $0.insert(
          "\(from.format) \(from.width)x\(from.height) -> \(to.format) \(to.width)x\(to.height)"
            + (isMore ? " and more" : ""))
      }
      _ = try scaler.scale(source, crop: crop, transform: transform, to: &destination)
      return 0
    }
  }

  /// Pictures an encoder was given, by number.
  private final class Pictures: Sendable {
    private let seen = Mutex<[UInt64: [UInt8]]>([:])
    subscript(number: UInt64) -> [UInt8]? { seen.withLock { $0[number] } }
    var numbers: Set<UInt64> { seen.withLock { Set($0.keys) } }
    func look(_ frame: borrowing Frame) {
      guard let base = try? frame.buffer.memory.map() else { return }
      let bytes = Array(UnsafeRawBufferPointer(start: base, count: frame.layout.byteCount))
      let number = frame.sequence
      seen.withLock { $0[number] = bytes }
    }
  }

  /// vi/0 -> vpss/0 on the device -> venc/0, and vpss/1 on the CPU -> venc/1, with the same settings.
  private func bench(
    _ asked: Asked, _ pictures: (Pictures, Pictures), _ values: [String: SettingValue], refuses: GateBox = GateBox(),
    backend: String = "/dev/video8"
  ) throws -> Bench {
    var script = ScriptedSource.Script(limit: 30, isLive: false)
    script.layout = try #require(FrameLayout(.i420, width: 96, height: 64))
    script.paint = { frame, number in
      guard let base = try? frame.buffer.memory.map().assumingMemoryBound(to: UInt8.self) else { return }
      for index in 0..<frame.layout.byteCount {
        base[index] = UInt8(truncatingIfNeeded: 40 + (index * 7 + index / 96 * 3 + Int(number)) % 160)
      }
    }
    let second = ScriptedEncoderFactory(name: "second", formats: [.i420, .nv12])
    let bench = try Bench(
      source: ScriptedSourceFactory(script: script), encoder: ScriptedEncoderFactory(formats: [.i420, .nv12]),
      moreEncoders: [second],
      scalers: [LimitedFactory(asked: asked, refuses: refuses)] + SoftwareCodecs.scalerFactories(),
      options: GraphOptions(workers: 3, isUnthrottled: true), painter: SoftwareCodecs.painter())
    let (ofDevice, ofCPU) = pictures
    bench.encoder.script.look.withLock { $0 = { ofDevice.look($0) } }
    second.script.look.withLock { $0 = { ofCPU.look($0) } }
    try bench.make("vi/0", ["input": .text("pattern")])
    for number in 0...1 {
      try bench.make("vpss/\(number)", ["backend": .text(number == 0 ? backend : "libyuv")])
      try bench.make("vpss/\(number)/0", values)
      try bench.make(
        "venc/\(number)",
        ["codec": .text("h264"), "gop": .integer(10), "backend": .text(number == 0 ? "fake" : "second")])
      bench.bind("vpss/\(number)", "vi/0")
      bench.bind("venc/\(number)", "vpss/\(number)/0")
      try bench.start("venc/\(number)", "vpss/\(number)/0", "vpss/\(number)")
    }
    try bench.start("vi/0")
    return bench
  }

  private func fact(_ bench: Bench, _ path: String, _ key: String) -> String? {
    bench.graph.objectState(path)?.active.first { $0.key == key }?.value
  }

  private func count(_ bench: Bench, _ path: String, _ key: String) -> Int {
    let found = bench.graph.objectState(path)?.moreStatistics.first { $0.key == key }
    return Int(found?.value ?? -1)
  }

  /// What is asked of the output, what the device is asked then, and the steps.
  static let works: [([String: SettingValue], String, String)] = [
    ([:], "nv12 96x64 -> nv12 48x32", "convert libyuv, scale /dev/video8"),
    (
      ["rotation": .integer(90)], "nv12 96x64 -> nv12 48x32",
      "convert libyuv, scale /dev/video8, rotate libyuv"
    ),
    (
      ["crop": .rectangle(Rectangle(x: 16, y: 8, width: 64, height: 48)), "mirror": .boolean(true)],
      "nv12 64x48 -> nv12 48x32", "crop and convert libyuv, scale /dev/video8, mirror libyuv"
    ),
    (
      ["format": .text("i420")], "nv12 96x64 -> nv12 48x32",
      "convert libyuv, scale /dev/video8, convert libyuv"
    ),
    (
      ["aspect": .text("bars"), "height": .integer(48)], "nv12 96x64 -> nv12 48x32",
      "convert libyuv, scale /dev/video8, bars software"
    ),
  ]

  @Test(arguments: works) func theCPUTakesTheStepsTheDeviceCannot(
    _ values: [String: SettingValue], _ work: String, _ steps: String
  ) throws {
    let asked = Asked()
    let (ofDevice, ofCPU) = (Pictures(), Pictures())
    var all: [String: SettingValue] = [
      "width": .integer(48), "height": .integer(32), "format": .text("nv12"),
    ]
    for (key, value) in values { all[key] = value }
    let bench = try bench(asked, (ofDevice, ofCPU), all)
    defer { bench.finish() }
    let numbers = Set(UInt64(0)..<30)
    #expect(eventually { ofDevice.numbers == numbers && ofCPU.numbers == numbers })
    for number in numbers { #expect(ofDevice[number] == ofCPU[number], "\(number)") }
    #expect(asked.all == [work])
    #expect(fact(bench, "vpss/0/0", "steps") == steps)
    #expect(fact(bench, "vpss/0/0", "backend") == "/dev/video8")
    #expect(fact(bench, "vpss/1/0", "steps") == nil)
    let onCPU = steps.split(separator: ",").count - 1
    #expect(count(bench, "vpss/0/0", "device_steps") == 30 && count(bench, "vpss/0/0", "cpu_steps") == 30 * onCPU)
    #expect(count(bench, "vpss/1/0", "device_steps") == 0)
    // The pictures between the steps are buffers like all others, and come home.
    #expect(eventually { bench.graph.allocations().pools.allSatisfy { $0.free == $0.total } })
    #expect(bench.graph.environment.pools.entries.contains { $0.pool.name == "video8.in" })
  }

  @Test func autoTakesTheCPUForWhatTheDeviceCannotDoAlone() throws {
    let asked = Asked()
    let (ofDevice, ofCPU) = (Pictures(), Pictures())
    let bench = try bench(
      asked, (ofDevice, ofCPU), ["width": .integer(48), "height": .integer(32), "format": .text("nv12")],
      backend: "auto")
    defer { bench.finish() }
    #expect(eventually { ofDevice.numbers.count == 30 })
    #expect(asked.all.isEmpty)
  }

  @Test func aDeviceThatIsBusyIsSaidSoAtTheStart() throws {
    let refuses = GateBox()
    refuses.close()
    let failure = #expect(throws: Failure.self) {
      let bench = try Bench(
        scalers: [LimitedFactory(asked: Asked(), refuses: refuses)] + SoftwareCodecs.scalerFactories())
      defer { bench.finish() }
      try bench.make("vi/0", ["input": .text("pattern")])
      try bench.make("vpss/0", ["backend": .text("/dev/video8")])
      try bench.make("vpss/0/0", ["width": .integer(32), "height": .integer(32), "format": .text("nv12")])
      bench.bind("vpss/0", "vi/0")
      try bench.start("vi/0", "vpss/0", "vpss/0/0")
    }
    #expect(failure?.errno == .resourceBusy)
  }
}

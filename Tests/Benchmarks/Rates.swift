// SPDX-License-Identifier: Apache-2.0
import Codecs
import Devices
import Glibc
import MediaCore

/// How an engine keeps its bitrate under the runtime's own rate control: a raw clip goes through it, no frame left out, and the windows of a
/// second are looked at, sliding by a picture. `windows` does the same with the sizes of another program's pictures.
enum Rates {
  private static let framesPerSecond = 25

  static func run(_ options: Options) throws(BenchError) {
    let name = try options.required("--name")
    let size = try options.required("--size").split(separator: "x").compactMap { Int($0) }
    guard size.count == 2, let layout = FrameLayout(.i420, width: size[0], height: size[1], alignment: 1) else {
      throw BenchError("--size takes WIDTHxHEIGHT")
    }
    let engine = try options.required("--engine")
    guard let factory = SoftwareCodecs.encoderFactories().first(where: { $0.name == engine }) else {
      throw BenchError("this build has no \(engine)")
    }
    let steps = try options.required("--kbps").split(separator: ":").compactMap { Int($0) }
    guard !steps.isEmpty else { throw BenchError("--kbps takes a rate, or several with : between") }
    let frames = try options.count("--frames", 300)
    let gop = try options.count("--gop", 50)
    let (clip, out) = (try options.required("--clip"), try options.required("--out"))
    let run: Run
    do throws(any Error) {
      run = try Run(factory, layout, mode: options.text("--mode") ?? "cbr", gop: gop, kilobits: steps[0])
      try run.code(clip, frames: frames, steps: steps, into: out)
    } catch {
      throw BenchError("\(error)")
    }
    report("rates.\(name).control", Double(run.controlNanoseconds) / Double(max(1, run.sizes.count)), "ns")
    if steps.count == 1 {
      tell(name, run.sizes, kilobits: steps[0])
    } else {
      tellSteps(name, run.sizes, steps)
    }
  }

  /// Sizes in bytes on stdin, one a line.
  static func windows(_ options: Options) throws(BenchError) {
    let name = try options.required("--name")
    let kilobits = try options.count("--kbps", 1000)
    var sizes: [Int] = []
    while let line = readLine() { if let size = Int(line) { sizes.append(size) } }
    guard sizes.count > framesPerSecond else { throw BenchError("\(sizes.count) pictures are no second") }
    tell(name, sizes, kilobits: kilobits)
  }

  private static func sums(_ sizes: ArraySlice<Int>) -> [Double] {
    guard sizes.count >= framesPerSecond else { return [] }
    return (sizes.startIndex...sizes.endIndex - framesPerSecond).map { start in
      Double(sizes[start..<start + framesPerSecond].reduce(0, +) * 8)
    }
  }

  /// The mean and the windows as parts of the target.
  private static func tell(_ name: String, _ sizes: [Int], kilobits: Int) {
    let target = Double(kilobits) * 1000
    let windows = sums(sizes[...])
    let mean = Double(sizes.reduce(0, +) * 8 * framesPerSecond) / Double(max(1, sizes.count))
    report("rates.\(name).mean", mean / target, "ratio")
    report("rates.\(name).worst_second", (windows.max() ?? 0) / target, "ratio")
    report("rates.\(name).best_second", (windows.min() ?? 0) / target, "ratio")
  }

  /// Seconds after each step until a window of a second is within 15 %, and what its first second has.
  private static func tellSteps(_ name: String, _ sizes: [Int], _ steps: [Int]) {
    let length = sizes.count / steps.count
    for (number, kilobits) in steps.enumerated().dropFirst() {
      let windows = sums(sizes[number * length..<(number + 1) * length]).map { $0 / Double(kilobits * 1000) }
      let settled = windows.firstIndex { abs($0 - 1) <= 0.15 }
      report("rates.\(name).step\(number).first_second", windows.first ?? 0, "ratio")
      report(
        "rates.\(name).step\(number).settled", settled.map { Double($0) / Double(framesPerSecond) } ?? 999, "s")
    }
  }

  /// One engine and its control.
  private final class Run {
    private let encoder: any Encoder
    private let control: any RateController
    private var configuration: EncoderConfiguration
    private let pool: Pool
    private let layout: FrameLayout
    private var look = PictureLook()
    private(set) var sizes: [Int] = []
    private(set) var controlNanoseconds: UInt64 = 0

    init(
      _ factory: any EncoderFactory, _ layout: FrameLayout, mode: String, gop: Int, kilobits: Int
    ) throws {
      guard let rate = FrameRate(Rates.framesPerSecond) else { throw BenchError("no rate") }
      self.layout = layout
      configuration = EncoderConfiguration(
        codec: factory.codecs.first ?? .h264, width: Int(layout.width), height: Int(layout.height), format: .i420,
        frameRate: rate,
        settings: [
          "gop": .integer(gop), "rc_mode": .text(mode), "bitrate": .integer(kilobits), "profile": .text("auto"),
        ])
      encoder = try factory.open(configuration)
      control = factory.rateController(for: encoder, configuration)
      pool = try Pool(name: "rates", size: layout.byteCount, count: 2, allocator: MemfdAllocator())
    }

    func code(_ clip: String, frames: Int, steps: [Int], into path: String) throws {
      guard let input = fopen(clip, "rb") else { throw BenchError(errno: errno, "open", clip) }
      defer { fclose(input) }
      guard let output = fopen(path, "wb") else { throw BenchError(errno: errno, "create", path) }
      defer { fclose(output) }
      for number in 0..<frames {
        try step(to: steps[min(steps.count - 1, number * steps.count / frames)])
        guard let ref = pool.take(as: .anonymous) else { throw BenchError("no buffer") }
        let frame = Frame(
          ref, layout: layout, pts: Int64(number) * 1_000_000 / Int64(Rates.framesPerSecond), sequence: UInt64(number),
          stamps: FrameStamps())
        guard fread(try frame.buffer.memory.map(), 1, layout.byteCount, input) == layout.byteCount else { return }
        var sink = FileSink(file: output)
        var start = now()
        let activity = control.looks ? look.look(at: frame) : nil
        guard let directive = control.directive(wantsKey: false, pts: frame.pts, activity: activity) else { continue }
        controlNanoseconds += now() - start
        try encoder.submit(frame, directive, into: &sink)
        while case .again(let again) = control.fate(bytes: sink.bytes) {
          fseek(output, -sink.bytes, SEEK_CUR)
          sink = FileSink(file: output)
          try encoder.submit(frame, again, into: &sink)
        }
        start = now()
        control.coded(.p, isKey: directive.type == .idr, qp: directive.qp, bytes: sink.bytes)
        controlNanoseconds += now() - start
        sizes.append(sink.bytes)
      }
    }

    private func step(to kilobits: Int) throws {
      guard kilobits != configuration.bitrate else { return }
      configuration.settings[.bitrate] = kilobits
      guard try encoder.reconfigure(configuration) else { throw BenchError("the engine takes no other rate") }
      control.configure(configuration)
    }
  }

  private struct FileSink: PacketSink {
    let file: UnsafeMutablePointer<FILE>
    var bytes = 0
    mutating func append(_ data: UnsafeRawBufferPointer) {
      bytes += data.count
      fwrite(data.baseAddress, 1, data.count, file)
    }
    mutating func finishPicture(pts: Int64) {}
  }
}

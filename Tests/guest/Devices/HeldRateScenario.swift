// SPDX-License-Identifier: Apache-2.0
import Devices
import MediaCore

/// The runtime's rate control on a real driver that has none: the quantiser of each picture is set by control, and the rate holds. The frames
/// are of the program's own making, since what a test picture of a camera costs hardly depends on the quantiser.
func heldRateScenario(_ checks: Checks, _ path: String) {
  _ = checks.run("held rate") {
    guard let factory = V4L2EncoderFactory.all(in: DeviceInventory()).first(where: { $0.name == path }) else {
      return checks.expect(false, "the encoder is there")
    }
    // What there is to choose from: the same frames with a fine and a coarse quantiser.
    let ends = try [4, 28].map { qp in
      try sizes(factory, settings: ["rc_mode": .text("fixqp"), "qp_i": .integer(qp), "qp_p": .integer(qp)], frames: 16)
    }
    let means = ends.map { $0.reduce(0, +) / $0.count }
    checks.expect(means[0] > means[1] + means[1] / 2, "quantisers make a difference", "\(means) bytes a picture")
    let target = (means[0] + means[1]) / 2 * 8 * framesPerSecond / 1000
    let held = try sizes(factory, settings: ["rc_mode": .text("cbr"), "bitrate": .integer(target)], frames: 150)
    let seconds = stride(from: 2 * framesPerSecond, to: 150, by: framesPerSecond).map { start in
      held[start..<start + framesPerSecond].reduce(0, +) * 8 / 1000
    }
    checks.expect(
      seconds.allSatisfy { abs($0 - target) * 100 <= target * 15 }, "every second is within 15 % of \(target) kbps",
      "\(seconds)")
    let mean = seconds.reduce(0, +) / seconds.count
    checks.expect(abs(mean - target) * 100 <= target * 4, "and their mean within 4 %", "\(mean)")
  }
}

private let framesPerSecond = 25

/// Sizes of the pictures of a moving ramp with noise in it.
private func sizes(_ factory: V4L2EncoderFactory, settings: ObjectSettings, frames: Int) throws -> [Int] {
  guard let layout = FrameLayout(.nv12, width: 320, height: 240), let rate = FrameRate(framesPerSecond) else {
    return []
  }
  var all = settings
  all["gop"] = .integer(8)
  let configuration = EncoderConfiguration(
    codec: .fwht, width: 320, height: 240, format: .nv12, frameRate: rate, settings: all,
    obeyed: factory.settings(for: .fwht))
  let encoder = try factory.open(configuration)
  let control = factory.rateController(for: encoder, configuration)
  let pool = try Pool(name: "held", size: layout.byteCount, count: 2, allocator: MemfdAllocator())
  var noise: UInt32 = 7
  var sink = Recorder()
  for number in 0..<frames {
    guard let ref = pool.take(as: .anonymous) else { break }
    let frame = Frame(
      ref, layout: layout, pts: Int64(number) * 1_000_000 / Int64(framesPerSecond), sequence: UInt64(number),
      stamps: FrameStamps())
    let bytes = try frame.buffer.memory.map().assumingMemoryBound(to: UInt8.self)
    for index in 0..<layout.byteCount {
      noise = noise &* 1_664_525 &+ 1_013_904_223
      let ramp = index < 320 * 240 ? (index % 320 + number * 3) % 128 : 64
      bytes[index] = UInt8(48 + ramp + Int(noise >> 28))
    }
    let before = sink.pictures.count
    guard let directive = control.directive(wantsKey: number == 0, pts: frame.pts, activity: nil) else { continue }
    try encoder.submit(frame, directive, into: &sink)
    for picture in sink.pictures[before...] {
      control.coded(picture.info.type ?? .p, isKey: picture.info.isKey, qp: nil, bytes: picture.bytes.count)
    }
  }
  return sink.sizes
}

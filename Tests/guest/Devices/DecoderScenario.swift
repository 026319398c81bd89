// SPDX-License-Identifier: Apache-2.0
import Devices
import Glibc
import LinuxMedia
import MediaCore
import Synchronization

/// Keeps pictures as the graph does, and what they show.
private struct PictureKeeper: FrameSink, ~Copyable {
  var times: [Int64] = []
  var layouts: [FrameLayout] = []
  var shown: [[UInt8]] = []
  var identities: Set<UInt32> = []
  var lost: [Int64] = []
  /// Pictures that are not given back.
  var keeps = false
  private var kept: [Box] = []

  private final class Box {
    let frame: Frame
    init(_ frame: consuming Frame) { self.frame = frame }
  }

  mutating func picture(_ frame: consuming Frame) {
    times.append(frame.pts)
    layouts.append(frame.layout)
    identities.insert(frame.buffer.id)
    shown.append(packed(frame))
    if keeps { kept.append(Box(frame)) }
  }

  mutating func lost(_ pts: Int64, _ why: Failure) { lost.append(pts) }

  /// What the pictures that were kept show now.
  func keptNow() -> [[UInt8]] { kept.map { packed($0.frame) } }
  mutating func giveBack() { kept = [] }
}

/// The visible bytes of a 4:2:0 picture, plane after plane, chroma as Cb and Cr planes.
private func packed(_ frame: borrowing Frame) -> [UInt8] {
  let layout = frame.layout
  var bytes: [UInt8] = []
  for index in 0...frame.buffer.linked.count {
    let memory = index == 0 ? frame.buffer.memory : frame.buffer.linked[index - 1]
    try? memory.beginCPUAccess(write: false)
  }
  func lines(_ plane: Plane, _ width: Int, _ step: Int = 1, _ from: Int = 0) {
    let memory = plane.memory == 0 ? frame.buffer.memory : frame.buffer.linked[Int(plane.memory) - 1]
    guard let base = try? memory.map() else { return }
    for line in 0..<Int(plane.lines) {
      let start = base + Int(plane.offset) + line * Int(plane.stride)
      for column in 0..<width { bytes.append(start.load(fromByteOffset: column * step + from, as: UInt8.self)) }
    }
  }
  lines(layout.plane0, Int(layout.width))
  let half = (Int(layout.width) + 1) / 2
  if layout.format == .i420 {
    lines(layout.plane1, half)
    lines(layout.plane2, half)
  } else {
    lines(layout.plane1, half, 2, 0)
    lines(layout.plane1, half, 2, 1)
  }
  for index in 0...frame.buffer.linked.count {
    let memory = index == 0 ? frame.buffer.memory : frame.buffer.linked[index - 1]
    try? memory.endCPUAccess(write: false)
  }
  return bytes
}

/// A stream from the kernel's encoder, and the pictures it was made of.
private struct CodedStream {
  var units: [[UInt8]] = []
  var pictures: [[UInt8]] = []

  init(_ encoder: String, _ width: Int, _ height: Int, _ count: Int, gop: Int = 4) throws {
    guard let layout = FrameLayout(.i420, width: width, height: height) else { return }
    let pool = try Pool(name: "raw", size: layout.byteCount, count: 1, allocator: MemfdAllocator())
    let configuration = EncoderConfiguration(
      codec: .fwht, width: width, height: height, format: .i420, frameRate: .thirty,
      settings: ["gop": .integer(gop), "rc_mode": .text("fixqp")])
    let engine = try V4L2Encoder(encoder, configuration)
    var sink = Recorder()
    for number in 0..<count {
      guard let ref = pool.take(as: .anonymous) else { return }
      let base = try ref.buffer.memory.map()
      for line in 0..<height {
        for column in 0..<width {
          // A slope that moves: smooth, so that a coder keeps it, and another one in each picture.
          let value = UInt8(truncatingIfNeeded: (column + line) / 8 + number * 16)
          base.storeBytes(of: value, toByteOffset: line * Int(layout.plane0.stride) + column, as: UInt8.self)
        }
      }
      for plane in [layout.plane1, layout.plane2] {
        for offset in 0..<plane.byteCount {
          base.storeBytes(of: UInt8(100 + number), toByteOffset: Int(plane.offset) + offset, as: UInt8.self)
        }
      }
      let frame = Frame(ref, layout: layout, pts: Int64(number), sequence: 0, stamps: FrameStamps())
      pictures.append(packed(frame))
      try engine.submit(frame, EncodeDirective(), into: &sink)
    }
    units = sink.pictures.map(\.bytes)
  }
}

private func configuration(_ pictures: Int = 4) -> DecoderConfiguration {
  DecoderConfiguration(
    codec: .fwht, allocator: AllocatorPolicy().allocator, user: UserSlot(rawValue: 5), poolName: "vdec0",
    bufferCount: pictures)
}

private func decode(
  _ decoder: V4L2Decoder, _ units: [[UInt8]], from first: Int64 = 0, into keeper: inout PictureKeeper
) throws {
  for (index, unit) in units.enumerated() {
    try unit.withUnsafeBytes { try decoder.submit($0, pts: first + Int64(index), into: &keeper) }
  }
  try settle(decoder, into: &keeper)
}

/// Takes what comes of the units inside, until nothing comes for a while.
private func settle(_ decoder: V4L2Decoder, into keeper: inout PictureKeeper) throws {
  var before = -1
  while decoder.inside > 0 || keeper.times.count + keeper.lost.count > before {
    before = keeper.times.count + keeper.lost.count
    try decoder.collect(until: now() + 50_000_000, into: &keeper)
  }
}

/// The least likeness of pictures to those they should be, in decibels.
private func likeness(_ shown: [[UInt8]], _ wanted: [[UInt8]]) -> Double {
  guard shown.count == wanted.count, zip(shown, wanted).allSatisfy({ $0.count == $1.count }) else { return 0 }
  return zip(shown, wanted).map { peakSignalToNoise($0, $1) }.min() ?? 0
}

/// A device that loses what it is told on its way: events, or the units of a stream.
private final class LosingKernel: KernelWrapper {
  let inner: any Kernel = LinuxKernel()
  let losesEvents: Bool
  let losesUnits = Atomic<Bool>(false)
  init(events: Bool = false) { losesEvents = events }
  private static let (queue, subscribe): (UInt, UInt) = (0xc058_560f, 0x4020_565a)
  func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    if losesEvents, request == LosingKernel.subscribe { return -EINVAL }
    // struct v4l2_buffer: index, type; OUTPUT is 2, multi-planar 10.
    if losesUnits.load(ordering: .relaxed), request == LosingKernel.queue, let argument,
      [2, 10].contains(argument.load(fromByteOffset: 4, as: UInt32.self))
    {
      return 0
    }
    return inner.ioctl(fd, request, argument)
  }
}

/// The kernel's stateful decoder, on streams of its own encoder.
func decoderScenario(_ checks: Checks, encoder: String, decoder path: String) {
  checks.section("decoder")
  _ = checks.run("factory") {
    let factories = V4L2DecoderFactory.all(in: DeviceInventory())
    checks.expect("decoders of this machine", factories.map(\.name), is: [path])
    checks.expect("codecs", factories.first?.codecs ?? [], is: [.fwht])
  }
  let streams = checks.run("streams") {
    (try CodedStream(encoder, 640, 360, 8), try CodedStream(encoder, 800, 480, 6))
  }
  guard let (small, large) = streams else { return }
  checks.expect("coded pictures", [small.units.count, large.units.count], is: [8, 6])
  plainScenario(checks, path, small)
  changeScenario(checks, path, small, large)
  seekScenario(checks, path, small)
  heldScenario(checks, path, small)
  decoderFaultScenario(checks, path, small)
  decoderLeakScenario(checks, path, small, large)
}

private func plainScenario(_ checks: Checks, _ path: String, _ stream: CodedStream) {
  for memory in [BufferMemory.mmap, .dmabuf] {
    _ = checks.run("plain \(memory)") {
      let calls = FaultInjector()
      let decoder = try V4L2Decoder(path, configuration(), memory: memory, kernel: calls)
      checks.expect(
        "\(memory): nothing is known before the stream", decoder.layout == nil && decoder.pool == nil, is: true)
      var keeper = PictureKeeper()
      try decode(decoder, Array(stream.units[..<2]), into: &keeper)
      let before = [UInt(0xc058_560f), 0xc058_5611].map { calls.count(of: .ioctl($0)) }
      try decode(decoder, Array(stream.units[2...]), from: 2, into: &keeper)
      let after = [UInt(0xc058_560f), 0xc058_5611].map { calls.count(of: .ioctl($0)) }
      checks.expect("\(memory): each unit's picture comes with it, and with its time", keeper.times, is: Array(0..<8))
      checks.expect(
        "\(memory): the visible size", keeper.layouts.map { [$0.width, $0.height] },
        is: Array(repeating: [640, 360], count: 8))
      let quality = likeness(keeper.shown, stream.pictures)
      checks.expect(quality > 30, "\(memory): what was coded", "\(quality) dB")
      checks.expect("\(memory): kind", decoder.memoryKind.hasPrefix("v4l2:\(memory)"), is: true)
      checks.expect("\(memory): counters", decoder.counters, is: DecoderCounters())
      checks.expect("\(memory): QBUF of 6 units and pictures", after[0] - before[0], is: 12)
      print("      \(decoder.engine), \(decoder.layout?.format.description ?? ""), \(decoder.memoryKind)")
      print("      \(after[1] - before[1]) DQBUF, \(decoder.remarks)")
      let free = decoder.pool?.free ?? 0
      checks.expect(free >= 4, "\(memory): the pictures go home", "\(free) free")
      try decoder.drain(into: &keeper)
      checks.expect("\(memory): a drain adds nothing here", keeper.times.count, is: 8)
      try decode(decoder, stream.units, from: 100, into: &keeper)
      checks.expect("\(memory): another stream after a drain", Array(keeper.times[8...]), is: Array(100..<108))
    }
  }
}

private func changeScenario(_ checks: Checks, _ path: String, _ small: CodedStream, _ large: CodedStream) {
  for memory in [BufferMemory.mmap, .dmabuf] {
    _ = checks.run("change of size") {
      let decoder = try V4L2Decoder(path, configuration(10), memory: memory)
      var keeper = PictureKeeper()
      keeper.keeps = true
      try decode(decoder, small.units, into: &keeper)
      let pool = decoder.pool?.id
      try decode(decoder, large.units, from: 8, into: &keeper)
      checks.expect("\(memory): all pictures of both sizes", keeper.times, is: Array(0..<14))
      checks.expect(
        "\(memory): their sizes", keeper.layouts.map(\.width),
        is: Array(repeating: 640, count: 8) + Array(repeating: 800, count: 6))
      checks.expect("\(memory): changes", decoder.counters.layoutChanges, is: 1)
      checks.expect("\(memory): another pool", decoder.pool?.id != pool, is: true)
      let quality = likeness(keeper.shown, small.pictures + large.pictures)
      checks.expect(quality > 30, "\(memory): what was coded", "\(quality) dB")
      checks.expect("\(memory): pictures that are held stay as they were", keeper.keptNow() == keeper.shown, is: true)
      keeper.giveBack()
      keeper.keeps = false
      // And back, in mid-drain: the change and the end come together.
      try decode(decoder, small.units, from: 14, into: &keeper)
      try decoder.drain(into: &keeper)
      checks.expect("\(memory): and back", Array(keeper.times[14...]), is: Array(14..<22))
      checks.expect("\(memory): changes", decoder.counters.layoutChanges, is: 2)
    }
  }
}

private func seekScenario(_ checks: Checks, _ path: String, _ stream: CodedStream) {
  _ = checks.run("seek") {
    let decoder = try V4L2Decoder(path, configuration())
    var keeper = PictureKeeper()
    try decoder.flush()
    try decode(decoder, Array(stream.units[..<3]), into: &keeper)
    try decoder.flush()
    // The second group begins with a key picture.
    try decode(decoder, Array(stream.units[4...]), from: 4, into: &keeper)
    try decoder.flush()
    try decoder.flush()
    try decode(decoder, Array(stream.units[..<2]), from: 20, into: &keeper)
    checks.expect("what was asked for comes, nothing else", keeper.times, is: [0, 1, 2, 4, 5, 6, 7, 20, 21])
    let wanted = [0, 1, 2, 4, 5, 6, 7, 0, 1].map { stream.pictures[$0] }
    let quality = likeness(keeper.shown, wanted)
    checks.expect(quality > 30, "whole", "\(quality) dB")
    try decoder.drain(into: &keeper)
    try decoder.flush()
    try decode(decoder, stream.units, from: 30, into: &keeper)
    checks.expect("a seek after the end", keeper.times.count, is: 17)
    checks.expect("not damaged", decoder.counters.damaged, is: 0)
  }
}

private func heldScenario(_ checks: Checks, _ path: String, _ stream: CodedStream) {
  _ = checks.run("held") {
    let decoder = try V4L2Decoder(path, configuration(2))
    var keeper = PictureKeeper()
    keeper.keeps = true
    var said = ""
    do { try decode(decoder, stream.units, into: &keeper) } catch { said = "\(error)" }
    checks.expect(said.contains("pictures are in use since 500 ms"), "all pictures held: told, not hung", said)
    checks.expect("and not broken", decoder.isBroken, is: false)
    let count = keeper.times.count
    checks.expect("as many as there are", keeper.identities.count, is: count)
    keeper.giveBack()
    keeper.keeps = false
    try decode(decoder, stream.units, from: 50, into: &keeper)
    checks.expect("and on when they come home", Array(keeper.times[count...]), is: Array(50..<58))
    keeper.keeps = true
    let stopper = Stopper(decoder.interrupt)
    said = ""
    stopper.startAfter(milliseconds: 100)
    // A stopper that comes late finds it in a later wait for pictures.
    for _ in 0..<100 where !said.contains("told to stop") {
      do { try decode(decoder, stream.units, from: 70, into: &keeper) } catch { said = "\(error)" }
    }
    checks.expect(said.contains("told to stop"), "told to stop from another thread", said)
    stopper.join()
  }
}

private func decoderFaultScenario(_ checks: Checks, _ path: String, _ stream: CodedStream) {
  _ = checks.run("damage") {
    let decoder = try V4L2Decoder(path, configuration())
    var keeper = PictureKeeper()
    var failures: [String] = []
    var units = stream.units
    // No header can be found in it.
    for index in 0..<60 { units[2][index] = 0xa5 }
    for (index, unit) in units.enumerated() {
      do { try decode(decoder, [unit], from: Int64(index), into: &keeper) } catch { failures.append("\(error)") }
    }
    print("      \(failures), lost \(keeper.lost), pictures \(keeper.times), \(decoder.counters)")
    checks.expect("which one that was is told", keeper.lost, is: [2])
    checks.expect("a damaged unit gives no picture and does not end it", keeper.times, is: [0, 1, 3, 4, 5, 6, 7])
    let quality = likeness(Array(keeper.shown.suffix(4)), Array(stream.pictures.suffix(4)))
    checks.expect(quality > 30, "from the next key picture on all is well", "\(quality) dB")
    checks.expect("nor break it", decoder.isBroken, is: false)
  }
  _ = checks.run("silent") {
    let decoder = try V4L2Decoder(path, configuration(), kernel: LosingKernel(events: true))
    var keeper = PictureKeeper()
    try decode(decoder, stream.units, into: &keeper)
    try decoder.drain(into: &keeper)
    checks.expect("a driver that tells no header: all pictures", keeper.times, is: Array(0..<8))
    checks.expect(
      "and it is said", decoder.remarks.contains { $0.contains("the stream's 640x360 is assumed") }, is: true)
    let quality = likeness(keeper.shown, stream.pictures)
    checks.expect(quality > 30, "whole", "\(quality) dB")
  }
  _ = checks.run("hang") {
    let kernel = LosingKernel()
    let decoder = try V4L2Decoder(path, configuration(), kernel: kernel)
    var keeper = PictureKeeper()
    try decode(decoder, Array(stream.units[..<2]), into: &keeper)
    kernel.losesUnits.store(true, ordering: .relaxed)
    var said = ""
    let start = now()
    do { try decode(decoder, stream.units, into: &keeper) } catch { said = "\(error)" }
    checks.expect(said.contains("it takes no unit in 500 ms"), "a device that hangs", said)
    checks.expect(decoder.isBroken, "is given up", "after \((now() - start) / 1_000_000) ms")
    said = ""
    do { try decode(decoder, stream.units, into: &keeper) } catch { said = "\(error)" }
    checks.expect(said.contains("has not come back"), "for good", said)
    var opened: V4L2Decoder?
    for _ in 0..<6000 where opened == nil {
      opened = try? V4L2Decoder(path, configuration())
      usleep(10_000)
    }
    guard let other = opened else { return checks.expect(false, "the device comes back", "never") }
    try decode(other, stream.units, into: &keeper)
    checks.expect("and another instance works", keeper.times.count, is: 10)
  }
  for (call, errno) in [(UInt(0xc058_560f), 22), (0xc058_5611, 5), (0xc058_560f, 19)] {
    _ = checks.run("errno \(errno)") {
      let faults = FaultInjector()
      let decoder = try V4L2Decoder(path, configuration(), kernel: faults)
      var keeper = PictureKeeper()
      try decode(decoder, Array(stream.units[..<3]), into: &keeper)
      faults.fail(.ioctl(call), with: .init(rawValue: CInt(errno)))
      var failed = false
      do { try decode(decoder, Array(stream.units[3..<4]), from: 3, into: &keeper) } catch { failed = true }
      checks.expect("errno \(errno) is told", failed, is: true)
      checks.expect("errno \(errno): broken", decoder.isBroken, is: errno != 22)
      if !decoder.isBroken {
        try decode(decoder, Array(stream.units[4...]), from: 4, into: &keeper)
        checks.expect("goes on with the next group", Array(keeper.times.suffix(4)), is: [4, 5, 6, 7])
      }
    }
  }
  _ = checks.run("no export") {
    let faults = FaultInjector()
    let decoder = try V4L2Decoder(path, configuration(), kernel: faults)
    var keeper = PictureKeeper()
    faults.fail(.ioctl(0xc040_5610), with: .invalidArgument)  // VIDIOC_EXPBUF
    try decode(decoder, stream.units, into: &keeper)
    checks.expect("what cannot be exported is imported", decoder.memoryKind.hasPrefix("v4l2:dmabuf"), is: true)
    checks.expect("all pictures", keeper.times.count, is: 8)
  }
}

private func decoderLeakScenario(_ checks: Checks, _ path: String, _ small: CodedStream, _ large: CodedStream) {
  _ = checks.run("decoder leaks") {
    func cycle(_ memory: BufferMemory) throws {
      let decoder = try V4L2Decoder(path, configuration(), memory: memory)
      var keeper = PictureKeeper()
      try decode(decoder, Array(small.units[..<1]), into: &keeper)
      try decode(decoder, Array(large.units[..<1]), into: &keeper)
    }
    try cycle(.mmap)
    try cycle(.dmabuf)
    func counts() -> (Int, Int, String) {
      (
        entries("/proc/self/fd").count, contents("/proc/self/maps").split(separator: "\n").count, kernelDMABufTotal()
      )
    }
    let before = counts()
    for index in 0..<50 { try cycle(index % 2 == 0 ? .mmap : .dmabuf) }
    let after = counts()
    checks.expect("descriptors after 50 decoders", after.0, is: before.0)
    checks.expect(after.1 <= before.1 + 4, "mappings after 50 decoders", "\(after.1), before \(before.1)")
    checks.expect("DMA-BUFs after 50 decoders", after.2, is: before.2)
  }
}

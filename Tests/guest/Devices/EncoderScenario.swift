// SPDX-License-Identifier: Apache-2.0
import Devices
import Glibc
import LinuxMedia
import MediaCore

/// Collects pictures as a channel's ring does, and reads them as the runtime does.
struct Recorder: PacketSink, ~Copyable {
  var pictures: [(info: PictureInfo, pts: Int64, bytes: [UInt8])] = []
  private var current: [UInt8] = []
  private var parser = PictureParser(.fwht)

  mutating func append(_ bytes: UnsafeRawBufferPointer) { current += bytes }
  mutating func finishPicture(pts: Int64) {
    let info = current.withUnsafeBytes { parser.parse($0) }
    pictures.append((info, pts, current))
    current = []
  }
  var keys: [Int] { pictures.indices.filter { pictures[$0].info.isKey } }
  var sizes: [Int] { pictures.map(\.bytes.count) }
}

private func configuration(_ width: Int, _ height: Int, _ format: PixelFormat = .nv12, gop: Int = 8)
  -> EncoderConfiguration
{
  EncoderConfiguration(
    codec: .fwht, width: width, height: height, format: format, frameRate: .thirty,
    settings: ["gop": .integer(gop), "rc_mode": .text("fixqp")])
}

/// A stateful encoder fed by a camera: without a copy where the layouts agree, and decoded again by the kernel's own
/// decoder to the picture that went in.
func encoderScenario(_ checks: Checks, camera: String, encoder path: String, decoder: String) {
  checks.section("encoder")
  _ = checks.run("factory") {
    let inventory = DeviceInventory()
    let factories = V4L2EncoderFactory.all(in: inventory)
    checks.expect("encoders of this machine", factories.map(\.name), is: [path])
    guard let factory = factories.first else { return }
    checks.expect("codecs", factory.codecs, is: [.fwht])
    let can = factory.capabilities(for: .fwht)
    checks.expect(
      "abilities: QP and type of a picture, and so its rate", can, is: [.perFrameQP, .forceType, .heldByQP])
    let obeyed = factory.settings(for: .fwht)
    checks.expect("a bitrate, live", obeyed[.bitrate]?.isLive, is: true)
    checks.expect("groups of pictures, live", obeyed[.gop]?.isLive, is: true)
    checks.expect("quantisers, live", obeyed[.keyQP]?.isLive, is: true)
    checks.expect("their range", obeyed[.predictedQP]?.range, is: 1...31)
    var coarse = configuration(1280, 720)
    coarse.settings[.keyQP] = 32
    var refused = ""
    do { _ = try factory.open(coarse) } catch { refused = "\(error)" }
    checks.expect(refused.contains("it takes 1..31"), "a quantiser it has not", refused)
    var wrong = configuration(1280, 720)
    wrong.codec = .h264
    var said = ""
    do { _ = try factory.open(wrong) } catch { said = "\(error)" }
    checks.expect(said.contains("it makes fwht, not h264"), "a codec it has not", said)
    said = ""
    do { _ = try factory.open(configuration(320, 5000)) } catch { said = "\(error)" }
    checks.expect(said.contains("320x5000 asked, the device takes"), "a size it has not", said)
  }
  zeroCopyScenario(checks, camera, path, decoder)
  depthScenario(checks, camera, path)
  copyScenario(checks, camera, path)
  liveScenario(checks, camera, path)
  heldRateScenario(checks, path)
  encoderFaultScenario(checks, camera, path)
}

private func zeroCopyScenario(_ checks: Checks, _ camera: String, _ path: String, _ decoder: String) {
  _ = checks.run("zero copy") {
    let calls = FaultInjector()
    let source = try V4L2CaptureSource(camera, request(width: 1280, height: 720, fps: 15))
    let encoder = try V4L2Encoder(path, configuration(1280, 720), kernel: calls)
    print("      \(encoder.engine), takes \(encoder.inputFormats), \(encoder.remarks)")
    var sink = Recorder()
    var raw: [UInt8] = []
    var times: [Int64] = []
    let counted: [KernelCall] = [.ioctl(0xc058_560f), .ioctl(0xc058_5611)]
    var before: [Int] = []
    try take(12, from: source) { frame in
      if times.count == 2 { before = counted.map { calls.count(of: $0) } }
      times.append(frame.pts)
      let memory = frame.buffer.memory
      try memory.beginCPUAccess(write: false)
      raw += UnsafeRawBufferPointer(start: try memory.map(), count: 1280 * 720 * 3 / 2)
      try memory.endCPUAccess(write: false)
      try encoder.submit(frame, EncodeDirective(), into: &sink)
    }
    checks.expect("a picture a frame", sink.pictures.count, is: 12)
    checks.expect("with the frame's time", sink.pictures.map(\.pts), is: times)
    checks.expect("bytes copied by the CPU", encoder.bytesCopied, is: 0)
    checks.expect(
      "QBUF and DQBUF for 10 frames and two queues", zip(counted, before).map { calls.count(of: $0) - $1 },
      is: [20, 20])
    checks.expect("key frames", sink.keys, is: [0, 8])
    try encoder.drain(into: &sink)
    checks.expect("a drain adds nothing here", sink.pictures.count, is: 12)
    write("/tmp/coded.fwht", sink.pictures.flatMap(\.bytes))
    let status = system(
      "timeout 60 v4l2-ctl -d \(decoder) --set-fmt-video-out=width=1280,height=720,pixelformat=FWHT"
        + " --set-fmt-video=width=1280,height=720,pixelformat=NV12 --stream-mmap --stream-out-mmap"
        + " --stream-from=/tmp/coded.fwht --stream-to=/tmp/decoded.nv12 >/tmp/decode.log 2>&1")
    checks.expect("the kernel's decoder takes it", status, is: 0)
    let decoded = read("/tmp/decoded.nv12")
    checks.expect("as many pictures", decoded.count, is: raw.count)
    if decoded.count == raw.count {
      let quality = peakSignalToNoise(raw, decoded)
      checks.expect(quality > 25, "and they are what the camera saw", "\(quality) dB")
    }
    unlink("/tmp/coded.fwht")
    unlink("/tmp/decoded.nv12")
  }
}

/// As channels use it: frames go in while others may be inside, of two instances that share the device.
private func depthScenario(_ checks: Checks, _ camera: String, _ path: String) {
  _ = checks.run("several inside") {
    let source = try V4L2CaptureSource(camera, request(width: 640, height: 480, fps: 15))
    var deep = configuration(640, 480)
    deep.depth = 3
    let first = try V4L2Encoder(path, deep)
    let second = try V4L2Encoder(path, deep)
    var one = Recorder()
    var other = Recorder()
    var times: [Int64] = []
    try take(12, from: source) { frame in
      times.append(frame.pts)
      // The key frame in the middle waits for what is inside: the driver has no control for it.
      let directive = EncodeDirective(type: times.count == 6 ? .idr : nil)
      try first.submit(frame, directive, into: &one)
      try second.submit(frame, directive, into: &other)
    }
    while first.inside > 0 { try first.collect(into: &one) }
    try first.drain(into: &one)
    try second.drain(into: &other)
    checks.expect("a picture a frame, in order", one.pictures.map(\.pts), is: times)
    checks.expect("of the other instance too", other.pictures.map(\.pts), is: times)
    checks.expect("the same bits", one.pictures.map(\.bytes) == other.pictures.map(\.bytes), is: true)
    checks.expect("key frames where they were asked for", one.keys, is: [0, 5])
    checks.expect("nothing is left inside", [first.inside, second.inside], is: [0, 0])
    checks.expect("bytes copied by the CPU", first.bytesCopied + second.bytesCopied, is: 0)
  }
}

private func copyScenario(_ checks: Checks, _ camera: String, _ path: String) {
  _ = checks.run("formats") {
    let plain = try V4L2Encoder(path, configuration(1280, 720, .i420))
    checks.expect("takes what comes", plain.inputFormats, is: [.i420])
    let kernel = HidingFormats(hidden: [.yuv420, .nv12])
    let other = try V4L2Encoder(path, configuration(1280, 720, .i420), kernel: kernel)
    checks.expect("or names what to convert to", other.inputFormats, is: [.nv21])
  }
  _ = checks.run("copy") {
    // 360 lines are coded as 368: the planes lie elsewhere than the camera's.
    let source = try V4L2CaptureSource(camera, request(width: 640, height: 360))
    let encoder = try V4L2Encoder(path, configuration(640, 360))
    var sink = Recorder()
    try take(5, from: source) { try encoder.submit($0, EncodeDirective(), into: &sink) }
    checks.expect("layouts that differ are copied, and counted", encoder.bytesCopied, is: 5 * 345_600)
    checks.expect("pictures", sink.pictures.count, is: 5)
    let header = sink.pictures.first.map { $0.bytes[12..<20].map { Int($0) } } ?? []
    checks.expect("the visible size is in the stream", header, is: [0, 0, 2, 128, 0, 0, 1, 104])
  }
  _ = checks.run("same bits") {
    // The same pixels from memory that cannot be imported and from memory that can.
    var coded: [[UInt8]] = []
    for allocator in [MemfdAllocator(), HeapAllocator(heap: "system"), UdmabufAllocator()] as [any Allocator] {
      let pool = try Pool(name: "test", size: 1280 * 720 * 3 / 2, count: 1, allocator: allocator)
      guard let layout = FrameLayout(.nv12, width: 1280, height: 720), let ref = pool.take(as: .anonymous) else {
        return
      }
      let memory = ref.buffer.memory
      try memory.beginCPUAccess(write: true)
      let base = try memory.map()
      for offset in 0..<layout.byteCount {
        base.storeBytes(
          of: UInt8(truncatingIfNeeded: offset / 1280 &+ offset / 16), toByteOffset: offset, as: UInt8.self)
      }
      try memory.endCPUAccess(write: true)
      let encoder = try V4L2Encoder(path, configuration(1280, 720))
      var sink = Recorder()
      let frame = Frame(ref, layout: layout, pts: 1, sequence: 0, stamps: FrameStamps())
      try encoder.submit(frame, EncodeDirective(), into: &sink)
      coded.append(sink.pictures.first?.bytes ?? [])
      checks.expect(
        "\(allocator.name): bytes copied", encoder.bytesCopied, is: allocator.name == "memfd" ? 1_382_400 : 0)
    }
    checks.expect(
      coded.count == 3 && coded[0] == coded[1] && coded[1] == coded[2] && coded[0].count > 1000, "the same bits")
  }
}

private func liveScenario(_ checks: Checks, _ camera: String, _ path: String) {
  _ = checks.run("live") {
    let source = try V4L2CaptureSource(camera, request(width: 640, height: 360))
    let intra = try V4L2Encoder(path, configuration(640, 360, gop: 1))
    var quantised = Recorder()
    for qp in [2, 31] {
      try take(3, from: source) { try intra.submit($0, EncodeDirective(qp: qp), into: &quantised) }
    }
    let sizes = quantised.sizes
    checks.expect(
      (sizes[3...].max() ?? 0) < (sizes[..<3].min() ?? 0), "a coarser quantiser makes smaller pictures at once",
      "\(sizes)")
    var fixed = configuration(640, 360, gop: 16)
    let held = try V4L2Encoder(path, fixed)
    var predicted = Recorder()
    try take(16, from: source) { try held.submit($0, EncodeDirective(), into: &predicted) }
    fixed.settings[.predictedQP] = 2
    checks.expect("quantisers change while running", try held.reconfigure(fixed), is: true)
    try take(16, from: source) { try held.submit($0, EncodeDirective(), into: &predicted) }
    let means = [predicted.sizes[1..<16], predicted.sizes[17...]].map { $0.reduce(0, +) / $0.count }
    checks.expect(means[1] > means[0], "each for its kind of picture", "\(means) bytes a predicted one")
    let encoder = try V4L2Encoder(path, configuration(640, 360, gop: 16))
    var sink = Recorder()
    try take(8, from: source) { try encoder.submit($0, EncodeDirective(), into: &sink) }
    try take(1, from: source) { try encoder.submit($0, EncodeDirective(type: .idr), into: &sink) }
    checks.expect("a forced key frame is the very next", sink.keys, is: [0, 8])
    var changed = configuration(640, 360, gop: 3)
    checks.expect("gop changes while running", try encoder.reconfigure(changed), is: true)
    try take(9, from: source) { try encoder.submit($0, EncodeDirective(), into: &sink) }
    let distances = zip(sink.keys, sink.keys.dropFirst()).map { $1 - $0 }
    checks.expect(distances.suffix(2).allSatisfy { $0 == 3 }, "and takes effect", "\(sink.keys)")
    changed.width = 1280
    checks.expect("a size needs a new encoder", try encoder.reconfigure(changed), is: false)
    let long = try V4L2Encoder(path, configuration(640, 360, gop: 300))
    checks.expect("what the device cannot is told", long.remarks, is: ["gop 300 asked, the device gives 16"])
  }
}

private func encoderFaultScenario(_ checks: Checks, _ camera: String, _ path: String) {
  _ = checks.run("drain and on") {
    let source = try V4L2CaptureSource(camera, request(width: 640, height: 360))
    let encoder = try V4L2Encoder(path, configuration(640, 360, gop: 16))
    var sink = Recorder()
    try encoder.drain(into: &sink)
    for _ in 0..<3 {
      try take(2, from: source) { try encoder.submit($0, EncodeDirective(), into: &sink) }
      try encoder.drain(into: &sink)
    }
    checks.expect("pictures", sink.pictures.count, is: 6)
    checks.expect("after a drain a new stream", sink.keys, is: [0, 2, 4])
  }
  _ = checks.run("faults") {
    let faults = FaultInjector()
    let source = try V4L2CaptureSource(camera, request(width: 640, height: 360))
    let encoder = try V4L2Encoder(path, configuration(640, 360, gop: 16), kernel: faults)
    var sink = Recorder()
    var failures = 0
    for (call, errno) in [(UInt(0xc058_560f), 22), (0xc058_5611, 5), (0xc058_560f, 5)] {
      try take(2, from: source) { try encoder.submit($0, EncodeDirective(), into: &sink) }
      faults.fail(.ioctl(call), with: .init(rawValue: CInt(errno)))
      try take(1, from: source) { frame in
        do { try encoder.submit(frame, EncodeDirective(), into: &sink) } catch { failures += 1 }
      }
    }
    try take(2, from: source) { try encoder.submit($0, EncodeDirective(), into: &sink) }
    checks.expect("a failed task fails alone", failures, is: 3)
    checks.expect("and the channel goes on with a key frame", sink.keys.count, is: 4)
    checks.expect("pictures", sink.pictures.count, is: 8)
  }
  _ = checks.run("import refused") {
    let faults = FaultInjector()
    let source = try V4L2CaptureSource(camera, request(width: 1280, height: 720, fps: 15))
    let encoder = try V4L2Encoder(path, configuration(1280, 720), kernel: faults)
    var sink = Recorder()
    // Four QBUFs are the empty coded buffers, made already; the next one imports the first frame.
    faults.fail(.ioctl(0xc058_560f), with: .invalidArgument)
    try take(3, from: source) { try encoder.submit($0, EncodeDirective(), into: &sink) }
    checks.expect("a refused import is copied instead, no frame lost", sink.pictures.count, is: 3)
    checks.expect("and says so", encoder.remarks.contains { $0.hasPrefix("import refused") }, is: true)
    checks.expect("bytes copied", encoder.bytesCopied, is: 3 * 1_382_400)
  }
  _ = checks.run("encoder leaks") {
    let source = try V4L2CaptureSource(camera, request(width: 640, height: 360))
    func cycle() throws {
      let encoder = try V4L2Encoder(path, configuration(640, 360))
      var sink = Recorder()
      try take(1, from: source) { try encoder.submit($0, EncodeDirective(), into: &sink) }
    }
    // Until each of the camera's buffers has been mapped.
    for _ in 0..<(source.pool?.buffers.count ?? 0) { try cycle() }
    let before = (entries("/proc/self/fd").count, contents("/proc/self/maps").split(separator: "\n").count)
    for _ in 0..<50 { try cycle() }
    let after = (entries("/proc/self/fd").count, contents("/proc/self/maps").split(separator: "\n").count)
    checks.expect("descriptors after 50 encoders", after.0, is: before.0)
    checks.expect(after.1 <= before.1 + 4, "mappings after 50 encoders", "\(after.1), before \(before.1)")
  }
}

private func write(_ path: String, _ bytes: [UInt8]) {
  let fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
  defer { close(fd) }
  var done = 0
  while done < bytes.count {
    let wrote = bytes[done...].withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
    if wrote <= 0 { return }
    done += wrote
  }
}

private func read(_ path: String) -> [UInt8] {
  let fd = open(path, O_RDONLY)
  guard fd >= 0 else { return [] }
  defer { close(fd) }
  let size = Int(lseek(fd, 0, SEEK_END))
  lseek(fd, 0, SEEK_SET)
  var bytes = [UInt8](repeating: 0, count: size)
  var done = 0
  while done < size {
    let got = bytes[done...].withUnsafeMutableBytes { Glibc.read(fd, $0.baseAddress, $0.count) }
    if got <= 0 { break }
    done += got
  }
  return Array(bytes[..<done])
}

/// Decibels over all bytes.
func peakSignalToNoise(_ a: [UInt8], _ b: [UInt8]) -> Double {
  var sum: UInt64 = 0
  for index in a.indices {
    let difference = Int64(a[index]) - Int64(b[index])
    sum += UInt64(difference * difference)
  }
  guard sum > 0 else { return 99 }
  return 10 * log10(255 * 255 * Double(a.count) / Double(sum))
}

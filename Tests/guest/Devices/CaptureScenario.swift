// SPDX-License-Identifier: Apache-2.0
import Devices
import Glibc
import LinuxMedia
import MediaCore

func request(
  _ format: PixelFormat = .nv12, width: Int = 640, height: Int = 360, fps: Int = 60, buffers: Int = 4,
  memory: String = "auto"
) -> SourceRequest {
  SourceRequest(
    width: width, height: height, format: format, frameRate: FrameRate(fps) ?? .thirty,
    allocator: AllocatorPolicy().allocator, user: UserSlot(rawValue: 3), poolName: "vi0", bufferCount: buffers,
    memory: memory)
}

/// Takes pictures and gives each back before the next. - Returns: numbers of the first and last, and how many.
@discardableResult
func take(_ count: Int, from source: any Source, _ look: (borrowing Frame) throws -> Void = { _ in }) throws
  -> (first: UInt64, last: UInt64, count: Int)
{
  var (first, last, taken): (UInt64, UInt64, Int) = (0, 0, 0)
  while taken < count {
    guard let frame = try source.next() else { break }
    if taken == 0 { first = frame.sequence }
    last = frame.sequence
    taken += 1
    try look(frame)
  }
  return (first, last, taken)
}

/// Formats, sizes, memory: what comes is what the layout says, and nothing is copied or left behind.
func captureScenario(_ checks: Checks, camera: String, multiplanar: Bool) {
  checks.section("capture \(camera), \(multiplanar ? "multi" : "single")-planar")
  for format in [PixelFormat.nv12, .i420, .nv16, .yuyv, .xrgb8888] {
    _ = checks.run("capture \(format)") {
      let source = try V4L2CaptureSource(camera, request(format))
      checks.expect("\(format): as asked", source.layout.format, is: format)
      checks.expect("\(format): size", [source.layout.width, source.layout.height], is: [640, 360])
      checks.expect("\(format): nothing to remark", source.remarks, is: [])
      checks.expect("\(format): rate", source.frameRate.description, is: "60")
      var (last, rising, different, named): (Int64, Bool, Set<UInt64>, Bool) = (0, true, [], true)
      let got = try take(12, from: source) { frame in
        if frame.pts <= last { rising = false }
        last = frame.pts
        let buffer = frame.buffer
        try buffer.memory.beginCPUAccess(write: false)
        var hash: UInt64 = 14_695_981_039_346_656_037
        for plane in [frame.layout.plane0, frame.layout.plane1, frame.layout.plane2] where plane.lines > 0 {
          let memory = plane.memory == 0 ? buffer.memory : buffer.linked[Int(plane.memory) - 1]
          let base = try memory.map() + Int(plane.offset)
          for offset in stride(from: 0, to: plane.byteCount & ~7, by: 8) {
            hash = (hash ^ base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 1_099_511_628_211
          }
        }
        try buffer.memory.endCPUAccess(write: false)
        different.insert(hash)
        let label = try DescriptorInfo(of: buffer.memory.fileDescriptor).name ?? ""
        if !(label == "vi0-\(buffer.index)" || label == "vi0-\(buffer.index).0") { named = false }
      }
      checks.expect("\(format): frames", got.count, is: 12)
      checks.expect(rising, "\(format): time stamps rise")
      checks.expect(named, "\(format): each buffer carries its name")
      // The test picture moves and has a frame counter burnt in.
      checks.expect(different.count >= 10, "\(format): pictures differ", "\(different.count) of 12")
      checks.expect("\(format): memory", source.memoryKind, is: "mmap")
      checks.expect("\(format): bytes copied", source.counters.bytesCopied, is: 0)
      checks.expect("\(format): idle again", source.pool?.free, is: source.pool?.buffers.count)
    }
  }
  if multiplanar {
    _ = checks.run("frames in two memories") {
      let kernel = HidingFormats(hidden: [.nv12])
      for memory in ["mmap", "dmabuf"] {
        let source = try V4L2CaptureSource(camera, request(memory: memory), kernel: kernel)
        checks.expect("\(memory): NV12M is NV12 to the runtime", source.layout.format, is: .nv12)
        checks.expect("\(memory): kind", source.memoryKind, is: memory)
        var wrong = 0
        try take(6, from: source) { frame in
          let buffer = frame.buffer
          if buffer.linked.count != 1 || frame.layout.plane1.memory != 1 || frame.layout.plane1.offset != 0 {
            wrong += 1
          }
          if buffer.linked[0].size < frame.layout.plane1.byteCount { wrong += 1 }
          // Grey chroma would be 128 all over; the colour bars are not.
          let chroma = try buffer.linked[0].map()
          let values = Set((0..<640).map { chroma.load(fromByteOffset: $0, as: UInt8.self) })
          if values.count < 4 { wrong += 1 }
        }
        checks.expect("\(memory): every frame has its two memories", wrong, is: 0)
        checks.expect("\(memory): idle again", source.pool?.free, is: source.pool?.buffers.count)
      }
    }
    _ = checks.run("planes apart") {
      // Offered last, so asked for by name: NV12M keeps its planes in two memories.
      let device = try V4L2Device(camera)
      let type = device.captureType ?? .captureMultiplanar
      let set = try device.setFormat(VideoFormat(type: type, fourcc: .nv12M, width: 640, height: 360))
      checks.expect("NV12M: memories", set.planes.count, is: 2)
      let queue = VideoQueue(device, type, memory: .mmap)
      let count = try queue.request(3)
      let a = try queue.export(0, plane: 0)
      let b = try queue.export(0, plane: 1)
      let sizes = [try DMABuf.size(a.raw, subject: "plane"), try DMABuf.size(b.raw, subject: "plane")]
      checks.expect(sizes[0] >= 230_400 && sizes[1] >= 115_200, "NV12M: a descriptor each", "\(sizes)")
      for index in 0..<count { try queue.enqueue(QueueBuffer(index: index, planeCount: 2)) }
      try queue.start()
      let wake = try WakeUp()
      _ = try device.wait(for: .readable, orWake: wake, timeoutMilliseconds: 60_000)
      if case .buffer(let buffer) = queue.dequeue() {
        checks.expect(
          "NV12M: bytes", [buffer[0].bytesUsed - buffer[0].dataOffset, buffer[1].bytesUsed - buffer[1].dataOffset],
          is: [230_400, 115_200])
      } else {
        checks.expect(false, "NV12M: a frame within a minute")
      }
      try queue.stop()
      try queue.releaseAll()
    }
  }
  importScenario(checks, camera)
  countScenario(checks, camera)
  refusalScenario(checks, camera)
}

private func importScenario(_ checks: Checks, _ camera: String) {
  for allocator in [HeapAllocator(heap: "system"), UdmabufAllocator()] as [any Allocator] {
    _ = checks.run("import from \(allocator.name)") {
      var asked = request(memory: "dmabuf")
      asked.allocator = allocator
      let source = try V4L2CaptureSource(camera, asked)
      checks.expect("import from \(allocator.name)", source.memoryKind, is: "dmabuf")
      let got = try take(8, from: source) { frame in
        let exporter = frame.buffer.memory.exporter
        if exporter.hasPrefix("vb2") { checks.expect(false, "imported memory", exporter) }
      }
      checks.expect("import from \(allocator.name): frames", got.count, is: 8)
      print("      \(source.pool?.memoryKind ?? "-"), exporter \(source.pool?.buffers.first?.memory.exporter ?? "-")")
    }
  }
  _ = checks.run("import from memfd") {
    var asked = request(memory: "dmabuf")
    asked.allocator = MemfdAllocator()
    let source = try V4L2CaptureSource(camera, asked)
    checks.expect("memfd cannot be imported: mmap instead", source.memoryKind, is: "mmap")
    checks.expect(
      source.remarks.contains { $0.hasPrefix("memory dmabuf refused") }, "and it says so", "\(source.remarks)")
    checks.expect("it works all the same", try take(3, from: source).count, is: 3)
  }
}

/// One poll, one DQBUF, one QBUF a frame, and nothing else.
private func countScenario(_ checks: Checks, _ camera: String) {
  _ = checks.run("system calls a frame") {
    let counter = FaultInjector()
    let source = try V4L2CaptureSource(camera, request(), kernel: counter)
    try take(4, from: source)
    let calls: [KernelCall] = [.ioctl(guestQBUF), .ioctl(guestDQBUF), .poll]
    let before = calls.map { counter.count(of: $0) }
    try take(60, from: source)
    let spent = zip(calls, before).map { counter.count(of: $0) - $1 }
    checks.expect("QBUF, DQBUF and poll for 60 frames", spent, is: [60, 60, 60])
  }
}

private let guestQBUF: UInt = 0xc058_560f
private let guestDQBUF: UInt = 0xc058_5611

private func refusalScenario(_ checks: Checks, _ camera: String) {
  func refused(_ path: String, _ what: String, _ asked: SourceRequest = request()) -> String {
    do {
      _ = try V4L2CaptureSource(path, asked)
      return "opened"
    } catch {
      print("      \(what): \(error)")
      return "\(error.errno)"
    }
  }
  checks.expect("no such node", refused("/dev/video99", "no such node"), is: "No such file or directory")
  checks.expect("no device", refused("/dev/null", "no device"), is: "Inappropriate ioctl for device")
  let encoder = getenv("VICODEC_ENC").map { String(cString: $0) } ?? "/dev/video99"
  checks.expect("no camera", refused(encoder, "no camera"), is: "Invalid argument")
  _ = checks.run("busy") {
    let first = try V4L2CaptureSource(camera, request())
    checks.expect("in use", refused(camera, "in use"), is: "Device or resource busy")
    checks.expect("and whoever has it goes on", try take(3, from: first).count, is: 3)
  }
  _ = checks.run("odd size") {
    let source = try V4L2CaptureSource(camera, request(width: 1000, height: 700, fps: 200))
    checks.expect(source.remarks.count == 2, "what the driver changed is told", "\(source.remarks)")
    checks.expect("and frames have that size", try take(2, from: source).count, is: 2)
  }
}

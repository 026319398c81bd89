// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore
internal import SystemPackage

/// A stateful V4L2 memory-to-memory encoder (kernel: `dev-encoder.rst`).
///
/// One open of the device is one channel. Frames in DMA-BUFs whose layout is the device's are imported, others copied into
/// its memory and counted. One frame is inside at a time: `encode` returns when the device has let go of it, so a frame
/// is never held beyond the call. Some drivers (vicodec) do the work inside QBUF: call it on a worker of its own.
///
/// Sendable by hand: the protocol promises serial calls, and nothing here is for any other thread.
public final class V4L2Encoder: Encoder, @unchecked Sendable {
  public let engine: String
  public let capabilities: EncoderCapabilities
  public let inputFormats: [PixelFormat]
  public private(set) var bytesCopied: UInt64 = 0
  public private(set) var remarks: [String] = []
  public private(set) var isBroken = false
  /// A picture took too long: the instance is being closed elsewhere.
  private var isAbandoned = false

  private let device: V4L2Device
  private let controls: EncoderControls
  private var configuration: EncoderConfiguration
  private let raw: M2MPort
  private let coded: M2MPort
  private let layout: FrameLayout
  private var drain = CodecDrain()
  private var parser: PictureParser

  /// Frames that went in, for matching: the time stamp of an OUTPUT buffer comes out with what was made of it.
  private var next: Int64 = 1
  private var waiting: [(cookie: Int64, pts: Int64)] = []
  /// Frames the engine keeps inside before the first comes out; learned.
  private var delay = 0
  private var framesToKey = 0
  /// Length of a group in force at the device, `nil` when it has no such control.
  private var deviceGOP: Int?

  /// Milliseconds a task may take before it is failed and the device reset.
  static let timeLimit: Int32 = 500
  private static let largestDelay = 4
  private static let codedBuffers = 4
  private static let rawBuffers = 8

  /// - Throws: what the kernel says; ENOTSUP when the device has not the codec or not the format.
  public init(
    _ path: String, _ configuration: EncoderConfiguration, kernel: any Kernel = LinuxKernel()
  ) throws(Failure) {
    let device = try asFailure { () throws(KernelError) in try V4L2Device(path, kernel: kernel) }
    guard let captureType = device.captureType, let outputType = device.outputType else {
      throw Failure(.invalidArgument, "open", on: path, "\(device.capability.card) is no encoder")
    }
    let coded = try V4L2Encoder.setCoded(device, captureType, configuration)
    let offered = try asFailure { () throws(KernelError) in
      try device.formats(of: outputType).compactMap { CaptureFormats.pixelFormat(of: $0.fourcc) }
    }
    // The format that comes where the device takes it, else the one that costs least to convert to.
    let usable = CaptureFormats.preference.filter { $0 != .mjpeg && offered.contains($0) }
    guard let format = usable.contains(configuration.format) ? configuration.format : usable.first else {
      throw Failure(.notSupported, "VIDIOC_ENUM_FMT", on: path, "the device takes no format the runtime has")
    }
    inputFormats = [format]
    let raw = try V4L2Encoder.setRaw(device, outputType, configuration, format)
    guard let layout = CaptureFormats.layout(of: raw) else {
      throw Failure(.invalidArgument, "VIDIOC_S_FMT", on: path, "the driver answered \(raw.width)x\(raw.height)")
    }
    var remarks: [String] = []
    let (found, interval, gop) = try asFailure { () throws(KernelError) in
      let rate = configuration.frameRate
      // Also what the device's own rate control reckons with.
      let interval = try device.setFrameInterval(
        FrameInterval(UInt32(rate.denominator), UInt32(rate.numerator)), of: outputType)
      let visible = SelectionRectangle(width: configuration.width, height: configuration.height)
      if raw.width != visible.width || raw.height != visible.height {
        let given = try device.setSelection(visible, .crop, of: outputType)
        if given != visible { remarks.append("coded with \(given.width)x\(given.height) visible") }
      }
      let found = try EncoderControls(device, configuration.codec)
      return (found, interval, try found.apply(configuration, &remarks))
    }
    if interval == nil, found.capabilities.contains(.liveBitrate) {
      remarks.append("the device takes no frame rate: its bitrate holds for the one it assumes")
    }
    self.device = device
    self.configuration = configuration
    self.raw = M2MPort(device, raw)
    self.coded = M2MPort(device, coded)
    self.layout = layout
    self.controls = found
    self.capabilities = found.capabilities
    self.engine = "\(device.capability.card) (\(device.capability.driver) \(device.capability.version))"
    self.parser = PictureParser(configuration.codec)
    self.deviceGOP = gop
    self.remarks = remarks
    try asFailure { () throws(KernelError) in
      try self.coded.allocate(V4L2Encoder.codedBuffers, .mmap)
      try self.coded.enqueueAllFree()
      try self.coded.start()
    }
  }

  private static func setCoded(
    _ device: V4L2Device, _ type: BufferType, _ configuration: EncoderConfiguration
  ) throws(Failure) -> VideoFormat {
    // Coded format first: it decides which raw ones there are. The size of a coded buffer is a wish; s5p-mfc has none of
    // its own. A picture that does not fit comes out as damaged, so it is as large as a raw one, but at most 4 MiB.
    let size = min(max(256 * 1024, configuration.width * configuration.height * 3 / 2), 4 << 20)
    let offered = try asFailure { () throws(KernelError) in try device.formats(of: type).map(\.fourcc) }
    guard let fourcc = configuration.codec.fourccs.first(where: offered.contains) else {
      throw Failure(
        .notSupported, "VIDIOC_ENUM_FMT", on: device.path, "the device does not make \(configuration.codec)")
    }
    let format = try asFailure { () throws(KernelError) in
      try device.setFormat(
        VideoFormat(
          type: type, fourcc: fourcc, width: configuration.width, height: configuration.height,
          planes: [.init(size: size)]))
    }
    guard Codec(format.fourcc) == configuration.codec else {
      throw Failure(.notSupported, "VIDIOC_S_FMT", on: device.path, "the device does not make \(configuration.codec)")
    }
    return format
  }

  private static func setRaw(
    _ device: V4L2Device, _ type: BufferType, _ configuration: EncoderConfiguration, _ pixels: PixelFormat
  ) throws(Failure) -> VideoFormat {
    let offered = try asFailure { () throws(KernelError) in try device.formats(of: type) }
    guard let fourcc = offered.map(\.fourcc).first(where: { CaptureFormats.pixelFormat(of: $0) == pixels }) else {
      throw Failure(.notSupported, "VIDIOC_ENUM_FMT", on: device.path, "the device does not take \(pixels)")
    }
    let format = try asFailure { () throws(KernelError) in
      try device.setFormat(
        VideoFormat(type: type, fourcc: fourcc, width: configuration.width, height: configuration.height))
    }
    guard format.fourcc == fourcc, format.width >= configuration.width, format.height >= configuration.height else {
      throw Failure(
        .outOfRange, "VIDIOC_S_FMT", on: device.path,
        "\(configuration.width)x\(configuration.height) asked, the device takes \(format.width)x\(format.height)")
    }
    return format
  }

  // MARK: encoding

  public func encode<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {
    guard !isAbandoned else {
      throw Failure(.resourceBusy, "encode", on: device.path, "it has not come back from a picture that took too long")
    }
    do throws(Failure) {
      if drain.state != .running { try resume() }
      try direct(directive)
      let cookie = next
      next += 1
      waiting.append((cookie, frame.pts))
      try put(frame, cookie)
      try collect(into: &sink)
    } catch {
      if error.errno == .timedOut {
        // Not even stopping the queues would come back before the hardware does.
        (isBroken, isAbandoned) = (true, true)
        HangingDevices.release(HangingInstance([raw, coded], source: frame.ref.share(as: .anonymous)))
      } else {
        // After EIO the kernel wants everything from the start, which is a new instance.
        isBroken = error.errno == .ioError && !isPictureDamaged || error.errno == .deviceGone
        reset()
      }
      isPictureDamaged = false
      throw error
    }
  }

  /// The failure was one picture's, told by its buffer, not the device's.
  private var isPictureDamaged = false

  private func direct(_ directive: EncodeDirective) throws(Failure) {
    framesToKey -= 1
    var key = directive.type == .idr || directive.type == .i
    // Where the device keeps groups of the wanted length or shorter ones, they are its own business.
    if framesToKey < 0, deviceGOP.map({ $0 > configuration.gop }) ?? true { key = true }
    if key || framesToKey < 0 { framesToKey = configuration.gop - 1 }
    try asFailure { () throws(KernelError) in
      if let qp = directive.qp { try controls.setQP(qp) }
      // A stream begins with a key frame unasked.
      guard key, next > 1 else { return }
      if controls.canForceKey {
        try controls.pressForceKey()
      } else {
        // A coded queue that starts anew begins with a key frame, whatever the driver.
        try coded.stop()
        try coded.enqueueAllFree()
        try coded.start()
      }
    }
  }

  /// Hands the frame to the device: imported if it can be, else copied.
  private func put(_ frame: borrowing Frame, _ cookie: Int64) throws(Failure) {
    guard frame.layout.format == layout.format, frame.layout.width == Int32(configuration.width),
      frame.layout.height == Int32(configuration.height)
    else {
      throw Failure(
        .invalidArgument, "VIDIOC_QBUF", on: device.path,
        "\(frame.layout.width)x\(frame.layout.height) \(frame.layout.format) came")
    }
    if importRefused == false, canImport(frame) {
      do throws(KernelError) {
        try prepare(.dmabuf)
        try importFrame(frame, cookie)
        return
      } catch {
        if error.errno == .deviceGone { throw Failure(error) }
        // The importer wants other memory (contiguous, below 4 GiB): copied from now on, and said.
        importRefused = true
        remarks.append("import refused, copying: \(error)")
      }
    }
    try asFailure { () throws(KernelError) in try prepare(.mmap) }
    try copyFrame(frame, cookie)
  }

  private var importRefused = false

  private func canImport(_ frame: borrowing Frame) -> Bool {
    let buffer = frame.buffer
    guard buffer.memory.isDMABuf, buffer.memoryCount == raw.format.planes.count,
      PlaneCopy.agree(frame.layout, layout)
    else { return false }
    for (index, plane) in raw.format.planes.enumerated() {
      let memory = index == 0 ? buffer.memory : buffer.linked[index - 1]
      if memory.size < plane.size { return false }
    }
    return true
  }

  /// Makes the raw queue stream with this kind of memory.
  private func prepare(_ memory: BufferMemory) throws(KernelError) {
    if raw.count > 0, raw.memory != memory {
      if raw.isStreaming { try raw.stop() }
      try raw.release()
    }
    if raw.count == 0 { try raw.allocate(max(V4L2Encoder.rawBuffers, controls.rawBuffersNeeded + 1), memory) }
    if !raw.isStreaming { try raw.start() }
  }

  private func importFrame(_ frame: borrowing Frame, _ cookie: Int64) throws(KernelError) {
    let memories = frame.buffer
    guard let index = raw.takeFree(for: memories.id) else { throw KernelError(.resourceBusy, "QBUF", on: device.path) }
    var buffer = QueueBuffer(index: index, planeCount: raw.format.planes.count)
    for plane in 0..<buffer.planeCount {
      let memory = plane == 0 ? memories.memory : memories.linked[plane - 1]
      buffer[plane] = .init(
        bytesUsed: raw.format.planes[plane].size, length: memory.size, fileDescriptor: memory.fileDescriptor)
    }
    try enqueue(&buffer, cookie)
  }

  private func copyFrame(_ frame: borrowing Frame, _ cookie: Int64) throws(Failure) {
    guard let index = raw.takeFree() else { throw Failure(.resourceBusy, "VIDIOC_QBUF", on: device.path) }
    var buffer = QueueBuffer(index: index, planeCount: raw.format.planes.count)
    do throws(Failure) {
      try copyPlanes(frame, to: index)
    } catch {
      raw.giveBack(index)
      throw error
    }
    for plane in 0..<buffer.planeCount {
      buffer[plane] = .init(
        bytesUsed: raw.format.planes[plane].size, length: raw.bytes(index, plane: plane).count)
    }
    try asFailure { () throws(KernelError) in try enqueue(&buffer, cookie) }
  }

  private func copyPlanes(_ frame: borrowing Frame, to index: Int) throws(Failure) {
    let holder = frame.buffer
    let port = raw
    for memory in 0..<holder.memoryCount { try holder.memory(memory).beginCPUAccess(write: false) }
    bytesCopied += UInt64(
      try PlaneCopy.copy(
        frame.layout,
        { (memory) throws(Failure) in
          UnsafeMutableRawBufferPointer(start: try holder.memory(memory).map(), count: holder.memory(memory).size)
        }, to: layout, { (plane) throws(Failure) in port.bytes(index, plane: plane) }, on: device.path))
    for memory in 0..<holder.memoryCount { try holder.memory(memory).endCPUAccess(write: false) }
  }

  private func enqueue(_ buffer: inout QueueBuffer, _ cookie: Int64) throws(KernelError) {
    // Seconds and microseconds below a million: drivers that count in nanoseconds or in microseconds give it back whole.
    buffer.timestamp = (cookie / 1_000_000, cookie % 1_000_000)
    buffer.field = 1
    try raw.enqueue(buffer)
  }

  // MARK: taking out

  /// Waits until the device has let go of the frame and what is due has come out.
  private func collect<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    let deadline = Deadline(V4L2Encoder.timeLimit)
    while true {
      try takeAll(into: &sink)
      let inside = raw.count - raw.free.count
      if inside == 0, waiting.count <= delay { return }
      let left = deadline.left
      if left <= 0 {
        // The frame was taken in and nothing came: an engine that looks ahead. Anything else is a hang.
        guard inside == 0, delay < V4L2Encoder.largestDelay else {
          throw Failure(.timedOut, "VIDIOC_DQBUF", on: device.path, "no picture in \(V4L2Encoder.timeLimit) ms")
        }
        delay += 1
        return
      }
      let result = try asFailure { () throws(KernelError) in
        try device.wait(for: inside > 0 ? [.readable, .writable] : .readable, timeoutMilliseconds: left)
      }
      if result.failed { try failIfBroken() }
    }
  }

  private func failIfBroken() throws(Failure) {
    // The reason is in DQBUF's answer; a queue that is merely not streaming gives EINVAL.
    if case .failed(let error) = coded.queue.dequeue() { throw Failure(error) }
  }

  private func takeAll<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    while raw.isStreaming, raw.count > raw.free.count {
      guard case .buffer(let buffer) = try answer(raw.queue.dequeue()) else { break }
      raw.giveBack(buffer.index)
    }
    // Asking again when nothing is due would be a call too many for every frame.
    while !waiting.isEmpty || drain.state != .running, case .buffer(let buffer) = try answer(coded.queue.dequeue()) {
      try take(buffer, into: &sink)
      if drain.state == .drained {
        coded.giveBack(buffer.index)
        return
      }
      try asFailure { () throws(KernelError) in
        try coded.enqueue(QueueBuffer(index: buffer.index, planeCount: max(1, coded.format.planes.count)))
      }
    }
  }

  private func answer(_ result: Dequeued) throws(Failure) -> Dequeued {
    switch result {
    case .failed(let error): throw Failure(error)
    case .ended:
      drain.ended()
      return result
    case .buffer, .empty: return result
    }
  }

  private func take<Sink: PacketSink & ~Copyable>(_ buffer: QueueBuffer, into sink: inout Sink) throws(Failure) {
    let plane = buffer[0]
    let memory = coded.bytes(buffer.index, plane: 0)
    let end = min(plane.bytesUsed, memory.count)
    guard drain.took(bytes: end - plane.dataOffset, flags: buffer.flags) else { return }
    let stamp = buffer.timestamp
    let cookie = stamp.seconds * 1_000_000 + stamp.microseconds
    // Everything before it has come or never will.
    var pts = waiting.first?.pts ?? 0
    if let position = waiting.firstIndex(where: { $0.cookie == cookie }) {
      pts = waiting[position].pts
      waiting.removeSubrange(...position)
    } else if !waiting.isEmpty {
      // A driver that does not keep time stamps: in order.
      waiting.removeFirst()
    }
    if buffer.flags.contains(.error) {
      isPictureDamaged = true
      throw Failure(.ioError, "VIDIOC_DQBUF", on: device.path, "the device could not encode the picture")
    }
    let bytes = UnsafeRawBufferPointer(rebasing: memory[plane.dataOffset..<end])
    sink.append(bytes)
    if isHeaderOnly(bytes) {
      waiting.insert((cookie, pts), at: 0)
    } else {
      sink.finishPicture(pts: pts)
    }
  }

  /// Some drivers give the parameter sets in a buffer of their own, with the time stamp of the picture they belong to.
  private func isHeaderOnly(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard configuration.codec == .h264 || configuration.codec == .h265, bytes.count < 256 else { return false }
    let info = parser.parse(bytes)
    return info.slices == 0 && info.hasParameterSets
  }

  // MARK: changes, drain, reset

  public func reconfigure(_ configuration: EncoderConfiguration) throws(Failure) -> Bool {
    let old = self.configuration
    var rest = configuration
    (rest.bitrate, rest.gop, rest.quality) = (old.bitrate, old.gop, old.quality)
    (rest.keyQuantiser, rest.predictedQuantiser) = (old.keyQuantiser, old.predictedQuantiser)
    guard rest == old, !isAbandoned, controls.isLive(from: old, to: configuration) else { return false }
    var remarks: [String] = []
    do throws(KernelError) {
      if configuration.bitrate != old.bitrate { try controls.setBitrate(configuration.bitrate, &remarks) }
      if configuration.gop != old.gop {
        deviceGOP = try controls.setGOP(configuration.gop, &remarks)
        framesToKey = min(framesToKey, configuration.gop - 1)
      }
      if configuration.quality != old.quality { try controls.setQuality(configuration.quality) }
      if configuration.keyQuantiser != old.keyQuantiser
        || configuration.predictedQuantiser != old.predictedQuantiser
      {
        try controls.setQuantisers(configuration)
      }
    } catch {
      // The driver wants it set before streaming (allegro says so): a new encoder can have it.
      if error.errno == .resourceBusy { return false }
      throw Failure(error)
    }
    self.configuration = configuration
    self.remarks += remarks
    return true
  }

  public func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    guard !isAbandoned, drain.state == .running, raw.isStreaming else { return }
    let answer = try asFailure { () throws(KernelError) in try device.encoder(.stop) }
    if drain.stopped(answer, bothStreaming: raw.isStreaming && coded.isStreaming) {
      try takeAll(into: &sink)
      try asFailure { () throws(KernelError) in try raw.stop() }
      return
    }
    let deadline = Deadline(V4L2Encoder.timeLimit)
    while true {
      try takeAll(into: &sink)
      if drain.state == .drained { return }
      let left = deadline.left
      if left <= 0 { throw Failure(.timedOut, "VIDIOC_ENCODER_CMD", on: device.path, "the drain did not end") }
      _ = try asFailure { () throws(KernelError) in try device.wait(for: .readable, timeoutMilliseconds: left) }
    }
  }

  /// After a drain: both queues from the start, which every driver understands.
  private func resume() throws(Failure) {
    try asFailure { () throws(KernelError) in
      if raw.isStreaming { try raw.stop() }
      try restartCoded()
    }
    drain.resumed()
  }

  /// After a failure: what was inside is lost, the next frame starts a new stream.
  private func reset() {
    waiting = []
    framesToKey = 0
    drain.resumed()
    if raw.isStreaming { try? raw.stop() }
    try? restartCoded()
  }

  private func restartCoded() throws(KernelError) {
    try coded.stop()
    try coded.enqueueAllFree()
    try coded.start()
  }
}

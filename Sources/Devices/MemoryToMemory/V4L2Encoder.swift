// SPDX-License-Identifier: Apache-2.0
internal import Base
public import LinuxMedia
public import MediaCore
internal import SystemPackage

/// A stateful V4L2 memory-to-memory encoder (kernel: `dev-encoder.rst`).
///
/// One open of the device is one channel. Frames in DMA-BUFs whose layout is the device's are imported, others copied into
/// its memory and counted. Up to `depth` frames are inside at a time, since many devices take longer for a picture than
/// the time between two, and work on several; each is held until the device has let go of it. Some drivers (vicodec) do
/// the work inside QBUF: call it on a worker of its own.
///
/// Sendable by hand: the protocol promises serial calls, and nothing here is for any other thread.
public final class V4L2Encoder: Encoder, @unchecked Sendable {
  public let engine: String
  public let capabilities: EncoderCapabilities
  public let inputFormats: [PixelFormat]
  public internal(set) var bytesCopied: UInt64 = 0
  public internal(set) var remarks: [String] = []
  public private(set) var isBroken = false
  /// A picture took too long: the instance is being closed elsewhere.
  private var isAbandoned = false

  let device: V4L2Device
  let controls: EncoderControls
  private let obeyed: EngineSettings
  /// A frame was given another QP than the configuration's.
  private var isQPOverridden = false
  /// The QP, or the quality factor, that the device was told last of those that came with a frame.
  private var told: Int?
  private(set) var configuration: EncoderConfiguration
  let raw: M2MPort
  private let coded: M2MPort
  let layout: FrameLayout
  private var drain = CodecDrain()
  private var parser: PictureParser

  /// The pictures the device was given, by the index of their buffer.
  var held: [HeldPicture] = []
  private let deviceWaker: DeviceWaker?
  /// When it last gave something, or began with nothing inside; CLOCK_MONOTONIC nanoseconds.
  private var progressAt: Int64 = 0
  /// `progressAt` of when it was looked at once more after its time.
  private var lastLookAfter: Int64?
  /// Frames that were answered for.
  private var answered: UInt64 = 0

  /// Frames that went in, for matching: the time stamp of an OUTPUT buffer comes out with what was made of it.
  var next: Int64 = 1
  var waiting: [(cookie: Int64, pts: Int64)] = []
  /// Frames the engine keeps inside before the first comes out; learned.
  private var delay = 0
  var importRefused = false
  /// Length of a group in force at the device, `nil` when it has no such control.
  private var deviceGOP: Int?

  /// Milliseconds a task may take before it is failed and the device reset.
  static let timeLimit: Int32 = 500
  private static let largestDelay = 4
  private static let codedBuffers = 4
  static let rawBuffers = 8

  /// - Throws: what the kernel says; ENOTSUP when the device has not the codec or not the format.
  public init(
    _ path: String, _ configuration: EncoderConfiguration, kernel: any Kernel = LinuxKernel()
  ) throws(Failure) {
    let instance = try M2MInstance(path, as: "encoder", kernel)
    let (device, outputType) = (instance.device, instance.output)
    // Coded format first: it decides which raw ones there are.
    let coded = try V4L2Encoder.setCoded(instance, configuration)
    // The format that comes where the device takes it, else the one that costs least to convert to.
    let usable = try instance.pixelFormats(of: outputType)
    guard let format = usable.contains(configuration.format) ? configuration.format : usable.first else {
      throw Failure(.notSupported, "VIDIOC_ENUM_FMT", on: path, "the device takes no format the runtime has")
    }
    inputFormats = [format]
    let raw = try instance.set(outputType, to: format, configuration.width, configuration.height, isExact: false)
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
    if interval == nil, !found.capabilities.contains(.heldByQP), found.settings[.bitrate]?.isLive ?? false {
      remarks.append("the device takes no frame rate: its bitrate holds for the one it assumes")
    }
    self.device = device
    self.configuration = configuration
    self.raw = M2MPort(device, raw)
    self.coded = M2MPort(device, coded)
    self.layout = layout
    self.controls = found
    self.obeyed = found.settings
    self.capabilities = found.capabilities
    self.engine = instance.engine
    self.parser = PictureParser(configuration.codec)
    self.deviceGOP = gop
    self.remarks = remarks
    let kernel = device.kernel
    self.deviceWaker =
      configuration.depth > 1
      ? try asFailure { () throws(KernelError) in try DeviceWaker(kernel) } : nil
    try asFailure { () throws(KernelError) in
      try self.coded.allocate(V4L2Encoder.codedBuffers, .mmap)
      try self.coded.enqueueAllFree()
      try self.coded.start()
    }
  }

  // MARK: encoding

  /// Where the device keeps groups of the wanted length or shorter ones, they are its own business.
  public var placesKeyFrames: Bool {
    configuration.codec == .mjpeg || (deviceGOP.map { $0 <= configuration.gop } ?? false)
  }

  public var waker: (any Waker)? { deviceWaker }

  public var inside: Int { isAbandoned ? 0 : max(waiting.count - delay, given) }

  /// Buffers of the raw queue the driver has.
  private var given: Int { raw.count - raw.free.count }

  public func submit<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {
    guard !isAbandoned else {
      throw Failure(.resourceBusy, "encode", on: device.path, "it has not come back from a picture that took too long")
    }
    do throws(Failure) {
      if drain.state != .running { try resume() }
      if inside == 0 { progressAt = Clock.now() }
      try direct(directive, &sink)
      try put(frame, &sink)
      try settle(below: configuration.depth, &sink)
    } catch {
      throw lost(error)
    }
  }

  public func collect<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    let before = answered
    do throws(Failure) {
      while inside > 0, answered == before {
        guard try pause(isWakeable: true) else { return }
        try takeAll(into: &sink)
      }
    } catch {
      throw lost(error)
    }
  }

  /// Nothing is inside any more.
  /// - Returns: the failure.
  private func lost(_ failure: Failure) -> Failure {
    if failure.errno == .timedOut {
      // Not even stopping the queues would come back before the hardware does.
      (isBroken, isAbandoned) = (true, true)
      HangingDevices.release(HangingInstance([raw, coded], holding: held))
      (held, waiting) = ([], [])
    } else {
      // After EIO the kernel wants everything from the start, which is a new instance.
      isBroken = failure.errno == .ioError && !isPictureDamaged || failure.errno == .deviceGone
      reset()
    }
    isPictureDamaged = false
    return failure
  }

  /// The failure was one picture's, told by its buffer, not the device's.
  private var isPictureDamaged = false

  private func direct<Sink: PacketSink & ~Copyable>(
    _ directive: EncodeDirective, _ sink: inout Sink
  ) throws(Failure) {
    let key = directive.type == .idr || directive.type == .i
    if let quality = directive.quality {
      try tell(quality, &sink) { controls throws(KernelError) in try controls.setQuality(quality) }
    }
    if let qp = directive.qp {
      if configuration.rateMode == .fixqp {
        try asFailure { () throws(KernelError) in try setQP(qp, isKey: key) }
      } else {
        try tell(qp, &sink) { controls throws(KernelError) in try controls.setQP(qp) }
        isQPOverridden = true
      }
    }
    // A stream begins with a key frame unasked.
    guard key, next > 1 else { return }
    if controls.canForceKey {
      try asFailure { () throws(KernelError) in try controls.pressForceKey() }
    } else {
      // A coded queue that starts anew begins with a key frame, whatever the driver. What is inside comes out before.
      try settle(below: 1, &sink)
      try asFailure { () throws(KernelError) in try restartCoded() }
    }
  }

  /// A control holds for what the device begins from then on, which may be a frame from before: those inside come out first.
  private func tell<Sink: PacketSink & ~Copyable>(
    _ number: Int, _ sink: inout Sink, _ set: (EncoderControls) throws(KernelError) -> Void
  ) throws(Failure) {
    guard number != told else { return }
    try settle(below: 1, &sink)
    try asFailure { () throws(KernelError) in try set(controls) }
    told = number
  }

  /// The controls hold the QP of the configuration already: a call a frame is made only where another one is asked for.
  private func setQP(_ qp: Int, isKey: Bool) throws(KernelError) {
    let kind: SettingKey<Int> = isKey ? .keyQP : .predictedQP
    let held = configuration.rateMode == .fixqp ? configuration.settings[kind] ?? obeyed[kind]?.usual : nil
    if qp != held {
      try controls.setQP(qp)
      isQPOverridden = true
    } else if isQPOverridden {
      for key in [SettingKey.keyQP, .predictedQP] { try controls.set(key.name, configuration, &remarks) }
      isQPOverridden = false
    }
  }

  // MARK: taking out

  /// Takes what has come out, and waits until fewer frames are inside.
  func settle<Sink: PacketSink & ~Copyable>(below limit: Int, _ sink: inout Sink) throws(Failure) {
    while true {
      try takeAll(into: &sink)
      if inside < limit { return }
      _ = try pause(isWakeable: false)
    }
  }

  /// Waits until the device has something.
  /// - Returns: false when somebody ended the wait.
  private func pause(isWakeable: Bool) throws(Failure) -> Bool {
    let now = Clock.now()
    let left = timeLeft(now)
    // Looked at once more after its time: a worker that got no processor meanwhile has not seen what has come.
    if left <= 0, lastLookAfter == progressAt {
      // The frames were taken in and nothing came: an engine that looks ahead. Anything else is a hang.
      guard given == 0, waiting.count <= V4L2Encoder.largestDelay else {
        throw Failure(.timedOut, "VIDIOC_DQBUF", on: device.path, "no picture in \(V4L2Encoder.timeLimit) ms")
      }
      delay = waiting.count
      progressAt = now
      return true
    }
    let interest: PollInterest = given > 0 ? [.readable, .writable] : .readable
    let result = try asFailure { () throws(KernelError) in
      if isWakeable, let deviceWaker {
        return try device.wait(for: interest, orWake: deviceWaker.wakeUp, timeoutMilliseconds: max(0, left))
      }
      return try device.wait(for: interest, timeoutMilliseconds: max(0, left))
    }
    if result.woken { deviceWaker?.wakeUp.clear() }
    lastLookAfter = left <= 0 && !result.woken ? progressAt : nil
    if result.failed { try failIfBroken() }
    return !result.woken
  }

  /// Milliseconds until the device must have given something.
  private func timeLeft(_ now: Int64) -> Int32 {
    (progressAt - now + .milliseconds(Int64(V4L2Encoder.timeLimit))).pollMilliseconds
  }

  private func failIfBroken() throws(Failure) {
    // The reason is in DQBUF's answer; a queue that is merely not streaming gives EINVAL.
    if case .failed(let error) = coded.queue.dequeue() { throw Failure(error) }
  }

  private func takeAll<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    var isDamaged = false
    while raw.isStreaming, raw.count > raw.free.count {
      guard case .buffer(let buffer) = try answer(raw.queue.dequeue()) else { break }
      raw.giveBack(buffer.index)
      held[buffer.index].ref = nil
      isDamaged = isDamaged || buffer.flags.contains(.error)
    }
    try takeCoded(into: &sink)
    // Some drivers say it of the frame alone, and give no picture. What came before it is taken.
    if isDamaged { throw damage() }
  }

  private func takeCoded<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
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

  private func damage() -> Failure {
    isPictureDamaged = true
    return Failure(.ioError, "VIDIOC_DQBUF", on: device.path, "the device could not encode the picture")
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
    let hasBytes = drain.took(bytes: end - plane.dataOffset, flags: buffer.flags)
    // A picture that could not be made has no bytes with some drivers (mtk-vcodec); the mark of the end has none either.
    if buffer.flags.contains(.error), hasBytes || !buffer.flags.contains(.last) { throw damage() }
    guard hasBytes else { return }
    let cookie = buffer.cookie
    // Everything before it has come or never will.
    var pts = waiting.first?.pts ?? 0
    if let position = waiting.firstIndex(where: { $0.cookie == cookie }) {
      pts = waiting[position].pts
      waiting.removeSubrange(...position)
    } else if !waiting.isEmpty {
      // A driver that does not keep time stamps: in order.
      waiting.removeFirst()
    }
    // It keeps none back: what seemed so was a frame it left out.
    if waiting.isEmpty { delay = 0 }
    let bytes = UnsafeRawBufferPointer(rebasing: memory[plane.dataOffset..<end])
    sink.append(bytes)
    if isHeaderOnly(bytes) {
      waiting.insert((cookie, pts), at: 0)
    } else {
      answered += 1
      progressAt = Clock.now()
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
    guard !isAbandoned, configuration.isLive(from: old, obeyed: obeyed) else { return false }
    var remarks: [String] = []
    do throws(KernelError) {
      for key in configuration.settings.changes(from: old.settings).sorted() {
        if key == SettingKey.gop.name {
          deviceGOP = try controls.setGOP(configuration.gop, &remarks)
        } else {
          try controls.set(key, configuration, &remarks)
        }
      }
    } catch {
      // The driver wants it set before streaming (allegro says so): a new encoder can have it.
      if error.errno == .resourceBusy { return false }
      throw Failure(error)
    }
    self.configuration = configuration
    self.remarks += remarks
    told = nil
    return true
  }

  public func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    guard !isAbandoned, drain.state == .running, raw.isStreaming else { return }
    do throws(Failure) {
      try end(&sink)
    } catch {
      throw lost(error)
    }
  }

  private func end<Sink: PacketSink & ~Copyable>(_ sink: inout Sink) throws(Failure) {
    progressAt = Clock.now()
    let answer = try asFailure { () throws(KernelError) in try device.encoder(.stop) }
    if drain.stopped(answer, bothStreaming: raw.isStreaming && coded.isStreaming) {
      // The device has no such command: what is inside comes out by itself, and the queue is stopped then.
      try settle(below: 1, &sink)
      try asFailure { () throws(KernelError) in try raw.stop() }
      letGo()
      return
    }
    while true {
      try takeAll(into: &sink)
      if drain.state == .drained { return }
      let left = timeLeft(Clock.now())
      guard left > 0 else {
        throw Failure(.timedOut, "VIDIOC_ENCODER_CMD", on: device.path, "the drain did not end")
      }
      _ = try asFailure { () throws(KernelError) in try device.wait(for: .readable, timeoutMilliseconds: left) }
    }
  }

  /// After a drain: both queues from the start, which every driver understands.
  private func resume() throws(Failure) {
    try asFailure { () throws(KernelError) in
      if raw.isStreaming { try raw.stop() }
      try restartCoded()
    }
    letGo()
    waiting = []
    drain.resumed()
  }

  /// After a failure: what was inside is lost, the next frame starts a new stream.
  private func reset() {
    waiting = []
    drain.resumed()
    if raw.isStreaming { try? raw.stop() }
    letGo()
    try? restartCoded()
  }

  /// The raw queue is stopped: the driver has no picture any more.
  private func letGo() {
    for picture in held { picture.ref = nil }
  }

  private func restartCoded() throws(KernelError) {
    try coded.stop()
    try coded.enqueueAllFree()
    try coded.start()
  }
}

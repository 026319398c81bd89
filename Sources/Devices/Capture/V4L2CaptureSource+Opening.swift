// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore
internal import SystemPackage

/// Opening a capture device: what format, rate and memory it and the runtime agree on.
extension V4L2CaptureSource {
  struct Started {
    let run: CaptureRun
    let shown: Shown
  }

  static func start(
    _ device: V4L2Device, _ request: SourceRequest, _ formats: (accepted: [PixelFormat], convertible: [PixelFormat]),
    _ pool: CapturePool, _ waker: DeviceWaker, askedAs path: String? = nil
  ) throws(Failure) -> Started {
    guard let type = device.captureType else {
      throw Failure(.invalidArgument, "open", on: device.path, "no capture device")
    }
    var remarks: [String] = []
    var facts: [(key: String, value: String)] = []
    if let path, device.path != path { remarks.append("\(path) asked, the device came back as \(device.path)") }
    try adoptSignal(device)
    let format = try negotiate(device, type, request, formats, &remarks, &facts)
    guard let layout = CaptureFormats.layout(of: format),
      formats.accepted.contains(layout.format) || formats.convertible.contains(layout.format)
    else {
      throw Failure(
        .invalidArgument, "VIDIOC_S_FMT", on: device.path,
        "the driver answered \(format.fourcc) \(format.width)x\(format.height), which cannot be used")
    }
    let rate = try negotiateRate(device, type, request, &remarks)
    // Cameras have no such event; that is no error.
    _ = try? device.subscribe(.sourceChange, id: device.currentInput())
    let run = try allocate(device, format, layout, request, pool, waker, &remarks, &facts)
    let capability = device.capability
    return Started(
      run: run,
      shown: Shown(
        summary: "\(capability.card) (\(capability.driver), \(capability.bus))",
        node: CaptureFinder.node(device.path), layout: layout, rate: rate,
        memoryKind: run.memory == .mmap ? "mmap" : "dmabuf", remarks: remarks, facts: facts))
  }

  /// Sets a digital input to what comes in; inputs without timings need nothing.
  private static func adoptSignal(_ device: V4L2Device) throws(Failure) {
    let signal = try asFailure { () throws(KernelError) in try device.signal() }
    switch signal {
    case .notTimed: return
    case .present(let timings): try asFailure { () throws(KernelError) in try device.adopt(timings) }
    case .absent(let error):
      let why =
        switch error.errno {
        case .noLink: "no signal at the input"
        case .noLocks: "the signal at the input is not stable"
        default: "the signal at the input is beyond what the device takes"
        }
      throw Failure(error, why)
    }
  }

  private static func negotiate(
    _ device: V4L2Device, _ type: BufferType, _ request: SourceRequest,
    _ formats: (accepted: [PixelFormat], convertible: [PixelFormat]), _ remarks: inout [String],
    _ facts: inout [(key: String, value: String)]
  ) throws(Failure) -> VideoFormat {
    var request = request
    let isSizeOpen = request.width == 0 || request.height == 0
    if isSizeOpen {
      let wanted = request
      let own = try asFailure { () throws(KernelError) in
        try CaptureFormats.usualSize(
          of: device, type, forced: wanted.deviceFormat, accepted: formats.accepted, convertible: formats.convertible)
      }
      (request.width, request.height) = request.size(ofOwn: own.width, own.height)
    }
    let wanted = request
    let offered = try asFailure { () throws(KernelError) in
      try CaptureFormats.offered(
        by: device, type, request: wanted, accepted: formats.accepted, convertible: formats.convertible)
    }
    guard let (choice, why) = CaptureFormats.choose(offered, wanted: request.format, request: request) else {
      let names = (try? device.formats(of: type))?.map(\.fourcc.description).joined(separator: " ") ?? ""
      let what =
        request.deviceFormat.map { "\($0) is not offered or cannot be used" } ?? "none of its formats can be used"
      throw Failure(.notSupported, "VIDIOC_ENUM_FMT", on: device.path, "\(what): \(names)")
    }
    facts.append((key: "device_format", value: "\(choice.fourcc)".trimmingBlanks))
    if let forced = request.deviceFormat {
      facts.append((key: "device_format_why", value: "\(forced) was asked for"))
    } else if let why {
      facts.append((key: "device_format_why", value: why))
    }
    let format = try asFailure { () throws(KernelError) in
      try device.setFormat(
        VideoFormat(type: type, fourcc: choice.fourcc, width: wanted.width, height: wanted.height))
    }
    let given = CaptureFormats.pixelFormat(of: format.fourcc)
    if given != request.format, !request.isFormatOpen, !choice.isConverted {
      remarks.append("format \(request.format) asked, the device gives \(given.map(String.init) ?? "\(format.fourcc)")")
    }
    if !isSizeOpen, format.width != request.width || format.height != request.height {
      remarks.append("\(request.width)x\(request.height) asked, the device gives \(format.width)x\(format.height)")
    }
    return format
  }

  private static func negotiateRate(
    _ device: V4L2Device, _ type: BufferType, _ request: SourceRequest, _ remarks: inout [String]
  ) throws(Failure) -> FrameRate {
    let wanted = FrameInterval(UInt32(request.frameRate.denominator), UInt32(request.frameRate.numerator))
    let given = try asFailure { () throws(KernelError) in try device.setFrameInterval(wanted, of: type) }
    guard let given, let rate = FrameRate(Int(given.denominator), Int(given.numerator)) else {
      remarks.append("the device does not tell its frame rate")
      return request.frameRate
    }
    if rate != request.frameRate { remarks.append("fps \(request.frameRate) asked, the device gives \(rate)") }
    return rate
  }

  /// Buffers the driver keeps to write into beside those the graph holds.
  private static let inDriver = 3

  private static func allocate(
    _ device: V4L2Device, _ format: VideoFormat, _ layout: FrameLayout, _ request: SourceRequest, _ pool: CapturePool,
    _ waker: DeviceWaker, _ remarks: inout [String], _ facts: inout [(key: String, value: String)]
  ) throws(Failure) -> CaptureRun {
    func tell(_ memory: BufferMemory, _ why: String) {
      facts.append(
        (key: "allocator", value: memory == .mmap ? "the device, exported as DMA-BUF" : request.allocator.name))
      facts.append((key: "memory_why", value: why))
    }
    func begin(_ memory: BufferMemory) throws(Failure) -> CaptureRun {
      try CaptureRun(
        device, format: format, layout: layout, memory: memory, count: min(32, request.bufferCount + inDriver),
        allocator: request.allocator, pool: pool, wakeWorker: { waker.wake() })
    }
    // The device's own buffers fit its needs; imported ones are for who asks, or for a driver that has none of its own.
    let hasOwn = hasOwnMemory(device, format.type)
    let first: BufferMemory = request.memory == "dmabuf" || request.memory == "auto" && !hasOwn ? .dmabuf : .mmap
    do throws(Failure) {
      let run = try begin(first)
      tell(
        first,
        request.memory != "auto"
          ? "asked for" : hasOwn ? "the driver's own buffers fit its needs" : "the driver has no buffers of its own")
      return run
    } catch {
      let isRefusal =
        first == .dmabuf
        ? error.errno != .deviceGone && error.errno != .resourceBusy
        : request.memory == "auto" && error.operation == "VIDIOC_EXPBUF"
      guard isRefusal, let run = try? begin(first == .dmabuf ? .mmap : .dmabuf) else { throw error }
      let refused = first == .dmabuf ? "dmabuf" : "mmap"
      remarks.append("memory \(refused) refused: \(error)")
      tell(run.memory, "\(refused) was refused: \(error)")
      return run
    }
  }

  /// Kernels before 4.20 do not tell; there MMAP is tried.
  private static func hasOwnMemory(_ device: V4L2Device, _ type: BufferType) -> Bool {
    guard let can = try? VideoQueue.capabilities(device, type), !can.isEmpty else { return true }
    return can.contains(.mmap)
  }
}

extension String {
  /// Codes shorter than four characters are padded with blanks.
  fileprivate var trimmingBlanks: String {
    var text = self[...]
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}

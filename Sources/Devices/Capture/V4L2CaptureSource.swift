// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import Glibc
public import LinuxMedia
public import MediaCore
import Synchronization
internal import SystemPackage

/// A V4L2 capture device as a source: camera, HDMI input.
///
/// Pictures are handed on where the driver wrote them (MMAP exported as DMA-BUF, or DMA-BUFs of an allocator), so the
/// CPU copies none. A fatal streaming error restarts the stream; a device that goes away is closed, waited for and
/// taken back, also under another number.
///
/// Ownership: the worker (the one caller of ``next()``) owns device and run; reports read what it publishes.
public final class V4L2CaptureSource: Source {
  private struct Worker {
    var finder: CaptureFinder
    /// `nil` while the device is away.
    var device: V4L2Device?
    var run: CaptureRun?
    var sequence = SequenceTracker()
    var stamps = StampKeeper()
    /// When the picture before was taken, nanoseconds.
    var lastCapture: Int64 = .max
    /// Ends of a run and refused starts since the last picture: the first new start is made at once.
    var failures = 0
    /// A device that left is an outage once it is back.
    var isAway = false
  }

  /// What reports see.
  struct Shown: Sendable {
    let summary: String
    /// The device's node.
    let node: String
    let layout: FrameLayout
    let rate: FrameRate
    let memoryKind: String
    let remarks: [String]
    let facts: [(key: String, value: String)]
  }

  private let path: String
  private let request: SourceRequest
  private let accepted: [PixelFormat]
  private let convertible: [PixelFormat]
  private let capturePool: CapturePool
  /// Shared with the buffers' way home.
  private let waker: DeviceWaker
  private let deviceControls: CaptureControls
  private let worker: Mutex<Worker>
  private let shown: Published<Shown>

  private let droppedByDevice = Atomic<UInt64>(0)
  private let droppedNoBuffer = Atomic<UInt64>(0)
  private let damaged = Atomic<UInt64>(0)
  private let outages = Atomic<UInt64>(0)
  private let restarts = Atomic<UInt64>(0)

  /// Opens the device, agrees on a format and starts streaming.
  ///
  /// - Parameters:
  ///   - accepted: formats the runtime can work on.
  ///   - convertible: formats the runtime can make those of; pictures are handed on as they came.
  /// - Throws: ENOENT, EACCES, ENODEV, EBUSY as the kernel says; ENOTTY no V4L2 device; EINVAL no capture device;
  ///   ENOTSUP none of its formats is accepted.
  public init(
    _ path: String, _ request: SourceRequest, accepted: [PixelFormat] = V4L2CaptureSource.rawFormats,
    convertible: [PixelFormat] = [], kernel: any Kernel = LinuxKernel()
  ) throws(Failure) {
    guard request.pool == nil else {
      throw Failure(
        .notSupported, "pool", on: path, "a capture device fills buffers of its own, which no other pool can give")
    }
    self.path = path
    self.request = request
    self.accepted = accepted
    self.convertible = convertible
    let pool = CapturePool(name: request.poolName)
    let waker = try asFailure { () throws(KernelError) in try DeviceWaker(kernel) }
    var finder = CaptureFinder(path, kernel: kernel)
    let device = try finder.open()
    let controls = CaptureControls(wanted: request.controls)
    // Before the format is set: some controls decide it (rotation), and some cannot be set while pictures come.
    controls.attach(device)
    let started = try V4L2CaptureSource.start(device, request, (accepted, convertible), pool, waker)
    self.capturePool = pool
    self.deviceControls = controls
    self.waker = waker
    self.worker = Mutex(Worker(finder: finder, device: device, run: started.run))
    self.shown = Published(started.shown)
  }

  deinit {
    worker.withLock { _ = $0.run?.finish() }
    deviceControls.detach()
  }

  /// Everything but compressed pictures.
  public static let rawFormats: [PixelFormat] = CaptureFormats.preference.filter { $0 != .mjpeg }

  // MARK: what reports read

  private var current: Shown { shown.value }
  public var summary: String { current.summary }
  public var device: String? { current.node }
  public var layout: FrameLayout { current.layout }
  public var frameRate: FrameRate { current.rate }
  public var memoryKind: String { current.memoryKind }
  public var remarks: [String] { current.remarks }
  public var facts: [(key: String, value: String)] { current.facts }
  public var isLive: Bool { true }
  public var pool: (any BufferPool)? { capturePool }
  public var controls: (any ControlSurface)? { deviceControls }
  public var counters: SourceCounters {
    var counters = SourceCounters()
    counters.droppedByDevice = droppedByDevice.load(ordering: .relaxed)
    counters.droppedNoBuffer = droppedNoBuffer.load(ordering: .relaxed)
    counters.damaged = damaged.load(ordering: .relaxed)
    counters.outages = outages.load(ordering: .relaxed)
    counters.restarts = restarts.load(ordering: .relaxed)
    return counters
  }

  public func interrupt() {
    waker.interrupt()
  }

  // MARK: the worker

  public func next() throws(Failure) -> Frame? {
    try worker.withLock { (worker: inout sending Worker) throws(Failure) -> sending Frame? in
      try next(&worker)
    }
  }

  private func next(_ worker: inout Worker) throws(Failure) -> Frame? {
    while !waker.isInterrupted {
      guard let device = worker.device, let run = worker.run else {
        guard try comeBack(&worker) else { return nil }
        continue
      }
      do throws(KernelError) {
        try run.queueStranded()
        deviceControls.lookAround()
        let result = try device.wait(for: [.readable, .priority], orWake: waker.wakeUp)
        if result.woken {
          waker.wakeUp.clear()
          continue
        }
        if result.priority, try takeEvents(device) {
          finish(&worker)
          continue
        }
      } catch {
        try lost(&worker, error)
        continue
      }
      switch run.dequeue() {
      case .buffer(let buffer):
        worker.failures = 0
        if let frame = frame(of: buffer, run, &worker) { return frame }
      case .empty:
        // Ready, yet nothing there: with an error state that is a queue that has stopped, else another wait.
        if try hasFailed(device) { try lost(&worker, KernelError(.ioError, "poll", on: path)) }
      case .ended:
        finish(&worker)
      case .failed(let error):
        try lost(&worker, error)
      }
    }
    return nil
  }

  /// Whether the device reports an error right now, without waiting.
  private func hasFailed(_ device: V4L2Device) throws(Failure) -> Bool {
    try asFailure { () throws(KernelError) in
      try device.wait(for: [.readable], orWake: waker.wakeUp, timeoutMilliseconds: 0).failed
    }
  }

  /// - Returns: whether another picture comes in than the one that was agreed on.
  private func takeEvents(_ device: V4L2Device) throws(KernelError) -> Bool {
    var sourceChanged = false
    var isLast = false
    while !isLast, let event = try device.nextEvent(isLast: &isLast) {
      switch event {
      case .sourceChange: sourceChanged = true
      case .control(let change): deviceControls.changed(change)
      default: break
      }
    }
    return sourceChanged
  }

  /// A picture of a dequeued buffer, or `nil` when it was damaged and went straight back.
  private func frame(of buffer: QueueBuffer, _ run: CaptureRun, _ worker: inout Worker) -> Frame? {
    let gap = worker.sequence.advance(to: buffer.sequence)
    let (seconds, microseconds) = buffer.timestamp
    let before = worker.lastCapture
    let stamp = worker.stamps.stamp(
      seconds: seconds, microseconds: microseconds, monotonic: buffer.flags.contains(.monotonicTime),
      now: Clock.now())
    worker.lastCapture = stamp.captured
    if gap > 0, run.queueTime(buffer.index) > before {
      droppedNoBuffer.add(gap, ordering: .relaxed)
      capturePool.ranDry()
    } else if gap > 0 {
      droppedByDevice.add(gap, ordering: .relaxed)
    }
    let data = buffer[0]
    if buffer.flags.contains(.error) || data.bytesUsed <= data.dataOffset {
      damaged.add(1, ordering: .relaxed)
      run.giveBack(buffer.index)
      return nil
    }
    var layout = run.layout
    if layout.format == .mjpeg || !accepted.contains(layout.format) {
      layout.plane0.lines = 1
      layout.plane0.offset = Int32(clamping: data.dataOffset)
      layout.plane0.stride = Int32(clamping: data.bytesUsed - data.dataOffset)
    } else {
      layout.addOffsets(of: buffer)
    }
    guard let ref = run.take(buffer.index, as: request.user) else { return nil }
    return Frame(
      ref, layout: layout, pts: stamp.pts, sequence: worker.sequence.extended,
      stamps: FrameStamps(captured: stamp.captured))
  }

  // MARK: faults

  private func close(_ worker: inout Worker) {
    deviceControls.detach()
    worker.device = nil
  }

  /// Ends the run. A driver that will not free buffers in use is closed, which frees them.
  private func finish(_ worker: inout Worker) {
    if worker.run?.finish() == false { close(&worker) }
    worker.run = nil
    worker.sequence.restart()
    worker.lastCapture = .max
    worker.failures += 1
  }

  /// The stream failed: the next turn starts anew, or waits for the device when it is gone.
  /// - Throws: ENODEV once for each departure, so that the caller can say so.
  private func lost(_ worker: inout Worker, _ error: KernelError) throws(Failure) {
    finish(&worker)
    if error.errno == .deviceGone || error.errno == .noSuchAddressOrDevice {
      // The kernel gives a device back only when every descriptor of it is closed.
      close(&worker)
      worker.isAway = true
      throw Failure(.deviceGone, error.operation, on: path, "the device is gone; it is taken back when it returns")
    }
  }

  /// Opens what is closed and starts what has stopped.
  /// - Returns: false when interrupted.
  /// - Throws: after ``startAttempts`` failures in a row; the next call tries on.
  private func comeBack(_ worker: inout Worker) throws(Failure) -> Bool {
    if worker.failures > 1 || worker.isAway {
      let pause = worker.isAway ? V4L2CaptureSource.lookAgain : V4L2CaptureSource.pause(worker.failures)
      guard try rest(pause) else { return false }
    }
    let device: V4L2Device
    do throws(Failure) {
      if let open = worker.device {
        device = open
      } else {
        device = try worker.finder.open()
        deviceControls.attach(device)
      }
    } catch {
      // Away, or (as its permissions are still being set) not yet ours: look again.
      worker.isAway = true
      return true
    }
    worker.device = device
    do throws(Failure) {
      let started = try V4L2CaptureSource.start(
        device, request, (accepted, convertible), capturePool, waker, askedAs: worker.finder.path)
      worker.run = started.run
      shown.store(started.shown)
      if worker.isAway {
        outages.add(1, ordering: .relaxed)
        worker.isAway = false
      } else {
        restarts.add(1, ordering: .relaxed)
      }
    } catch {
      if error.errno == .deviceGone {
        close(&worker)
        worker.isAway = true
        return true
      }
      if error.operation == "VIDIOC_QUERY_DV_TIMINGS" {
        // Not the driver's fault: told at once, and looked for again at the next call.
        worker.failures = max(worker.failures, V4L2CaptureSource.signalPause)
        throw error
      }
      // A driver that keeps refusing may be stuck in its old state: the next attempt opens it afresh.
      close(&worker)
      worker.failures += 1
      if worker.failures >= V4L2CaptureSource.startAttempts {
        worker.failures = 1
        throw error
      }
    }
    return true
  }

  private static let startAttempts = 7
  /// Between two looks for a signal: the pause after so many failures.
  private static let signalPause = 5
  /// Milliseconds between two looks for a device that is away.
  private static let lookAgain: Int32 = 200
  /// Milliseconds before an attempt: 10, 20, 40, ... so that one refusal costs less than a picture.
  private static func pause(_ failures: Int) -> Int32 { 10 << Int32(min(failures, 6) - 1) }

  /// - Returns: false when interrupted.
  private func rest(_ milliseconds: Int32) throws(Failure) -> Bool {
    _ = try asFailure { () throws(KernelError) in
      try waker.wakeUp.wait(timeoutMilliseconds: milliseconds)
    }
    return !waker.isInterrupted
  }
}

extension FrameLayout {
  /// Drivers of multi-planar devices may put bytes before the pixels, another number of them in every frame.
  mutating func addOffsets(of buffer: QueueBuffer) {
    for index in 0..<buffer.planeCount {
      let offset = Int32(clamping: buffer[index].dataOffset)
      if offset == 0 { continue }
      if plane0.memory == index { plane0.offset += offset }
      if plane1.lines > 0, plane1.memory == index { plane1.offset += offset }
      if plane2.lines > 0, plane2.memory == index { plane2.offset += offset }
    }
  }
}

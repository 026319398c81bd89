// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore
internal import SystemPackage

/// A stateful V4L2 memory-to-memory decoder (kernel: `dev-decoder.rst`).
///
/// One open of the device is one channel. Pictures are the driver's own buffers, handed out as DMA-BUFs and taken back when
/// the graph has done with them; no pixel is copied. Some drivers (vicodec) do the work inside QBUF: call it on a worker
/// of its own.
///
/// Sendable by hand: the protocol promises serial calls, which the waker's affinity checks; what other threads may ask stands in
/// ``DecoderStatus``.
public final class V4L2Decoder: Decoder, @unchecked Sendable {
  public let engine: String
  private let path: String
  private let configuration: DecoderConfiguration
  private let kernel: any Kernel
  private let memory: BufferMemory?
  private let status = DecoderStatus()
  private let deviceWaker: DeviceWaker
  private var run: DecoderRun?
  private var isAbandoned = false
  /// Bytes a unit of the stream may have; grows when one is larger.
  private var unitSize = 1 << 20

  /// Opens the device, so that what it refuses is known before the stream comes.
  ///
  /// - Parameter memory: whose memory the pictures lie in; `nil` takes the driver's, or the allocator's where the driver
  ///   cannot export its own.
  /// - Throws: what the kernel says; ENOTSUP when the device does not decode this.
  public init(
    _ path: String, _ configuration: DecoderConfiguration, memory: BufferMemory? = nil,
    kernel: any Kernel = LinuxKernel()
  ) throws(Failure) {
    self.path = path
    self.configuration = configuration
    self.memory = memory
    self.kernel = kernel
    let waker = try asFailure { () throws(KernelError) in try DeviceWaker(kernel) }
    deviceWaker = waker
    let run = try DecoderRun(
      path, configuration, memory: memory, unitSize: unitSize, status: status, waker: waker, kernel: kernel)
    self.run = run
    engine = run.engine
  }

  public var layout: FrameLayout? { status.now.layout }
  public var memoryKind: String { status.now.memoryKind }
  public var pool: (any BufferPool)? { status.now.pool }
  public var counters: DecoderCounters { status.now.counters }
  public var remarks: [String] { status.now.remarks }
  public var isBroken: Bool { status.now.isBroken }

  public var inside: Int { run?.inside ?? 0 }
  public var waker: (any Waker)? { deviceWaker }

  public func submit<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure) {
    try call(&sink) { (sink) throws(Failure) in
      if let run, unit.count > run.unitSize || run.isUsedUp {
        // Larger buffers need a new instance; a unit that large is a key picture, at which the new one can begin.
        try run.drain(into: &sink)
        run.tellDamaged(to: &sink)
        self.run = nil
      }
      try ready(for: unit.count).submit(unit, pts: pts, into: &sink)
    }
  }

  public func collect<Sink: FrameSink & ~Copyable>(until deadline: Int64, into sink: inout Sink) throws(Failure) {
    try call(&sink) { (sink) throws(Failure) in
      if let run { return try run.collect(until: deadline, into: &sink) }
      try asFailure { () throws(KernelError) in try deviceWaker.rest(until: deadline) }
    }
  }

  public func drain<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    try call(&sink) { (sink) throws(Failure) in try run?.drain(into: &sink) }
  }

  private func call<Sink: FrameSink & ~Copyable>(
    _ sink: inout Sink, _ body: (inout Sink) throws(Failure) -> Void
  ) throws(Failure) {
    try call { () throws(Failure) in
      defer { run?.tellDamaged(to: &sink) }
      try body(&sink)
    }
  }

  private func call(_ body: () throws(Failure) -> Void) throws(Failure) {
    deviceWaker.worker.enter()
    defer { deviceWaker.worker.leave() }
    do throws(Failure) {
      try body()
    } catch {
      try failed(error)
    }
  }

  public func flush() throws(Failure) {
    try call { () throws(Failure) in try run?.flush() }
  }

  public func interrupt() { deviceWaker.interrupt() }

  private func ready(for size: Int) throws(Failure) -> DecoderRun {
    guard !isAbandoned else {
      throw Failure(.resourceBusy, "decode", on: path, "it has not come back from a picture that took too long")
    }
    if let run { return run }
    while unitSize < size { unitSize *= 2 }
    let new = try DecoderRun(
      path, configuration, memory: memory, unitSize: unitSize, status: status, waker: deviceWaker, kernel: kernel)
    run = new
    return new
  }

  /// What a failure means for the instance.
  private func failed(_ failure: Failure) throws(Failure) -> Never {
    switch failure.errno {
    case .timedOut where run?.hangs == true:
      // Not even stopping the queues would come back before the hardware does.
      isAbandoned = true
      status.change { $0.isBroken = true }
      if let run { HangingDevices.release(run.leave()) }
      run = nil
    case .ioError, .deviceGone, .noSuchAddressOrDevice:
      // After EIO the kernel wants everything from the start, which is a new instance.
      status.change { $0.isBroken = true }
      run = nil
    default: break
    }
    throw failure
  }
}

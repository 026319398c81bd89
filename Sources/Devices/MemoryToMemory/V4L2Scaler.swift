// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore

/// Scaling, cropping, conversion and mirroring by a V4L2 memory-to-memory device (kernel: `dev-mem2mem.rst`).
///
/// One open of the device does one kind of work: sizes, formats, crop and mirroring are set once, and anew when a frame
/// asks for something else. Pictures in DMA-BUFs whose layout is the device's are imported on both sides; others are
/// copied and counted.
///
/// Sendable by hand: the protocol promises serial calls, and nothing here is for any other thread.
public final class V4L2Scaler: Scaler, @unchecked Sendable {
  public let engine: String
  private let path: String
  private let kernel: any Kernel
  private var run: ScalerRun?

  /// Opens the device for this work at once, so that what it refuses is known before the first frame.
  /// - Throws: what the kernel says; ENOTSUP when the device does something else than was asked.
  public init(
    _ path: String, _ work: ScalerWork, kernel: any Kernel = LinuxKernel()
  ) throws(Failure) {
    self.path = path
    self.kernel = kernel
    let run = try ScalerRun(path, work, kernel)
    self.engine = run.engine
    self.run = run
  }

  public func scale(
    _ source: borrowing Frame, crop: Rectangle?, transform: PictureTransform, to destination: inout Frame
  ) throws(Failure) -> Int {
    let work = ScalerWork(from: source.layout, crop: crop, transform: transform, to: destination.layout)
    let current: ScalerRun
    if let run, run.work == work {
      current = run
    } else {
      run = nil
      current = try ScalerRun(path, work, kernel)
      run = current
    }
    do throws(Failure) {
      return try current.process(source, destination)
    } catch {
      // Whatever it was: the next frame gets a new instance, which is the one reset every driver has.
      run = nil
      if error.errno == .timedOut { current.abandon(source, destination) }
      throw error
    }
  }
}

/// What a scaler is to do with every picture.
public struct ScalerWork: Sendable, Equatable {
  public var from: FrameLayout
  public var crop: Rectangle?
  public var transform: PictureTransform
  public var to: FrameLayout
  public init(
    from: FrameLayout, crop: Rectangle? = nil, transform: PictureTransform = PictureTransform(), to: FrameLayout
  ) {
    self.from = from
    self.crop = crop
    self.transform = transform
    self.to = to
  }
}

/// One open instance of the device, set up for one kind of work.
final class ScalerRun {
  let work: ScalerWork
  let engine: String
  private let device: V4L2Device
  private let input: M2MPort
  private let output: M2MPort
  private let inputLayout: FrameLayout
  private let outputLayout: FrameLayout
  private var inputRefused = false
  private var outputRefused = false
  /// Indexes given to the driver with the picture being made.
  private var inside: (input: Int, output: Int)?

  /// Milliseconds a picture may take before it is failed and the device opened anew.
  static let timeLimit: Int32 = 500
  private static let slots = 8

  init(_ path: String, _ work: ScalerWork, _ kernel: any Kernel) throws(Failure) {
    let instance = try M2MInstance(path, as: "scaler", kernel)
    let device = instance.device
    func set(_ type: BufferType, _ layout: FrameLayout) throws(Failure) -> VideoFormat {
      try instance.set(type, to: layout.format, Int(layout.width), Int(layout.height), isExact: true)
    }
    // OUTPUT first: what comes in decides what can come out.
    let raw = try set(instance.output, work.from)
    if let crop = work.crop {
      let wanted = SelectionRectangle(left: crop.x, top: crop.y, width: crop.width, height: crop.height)
      let given = try asFailure { () throws(KernelError) in try device.setSelection(wanted, .crop, of: instance.output)
      }
      guard given == wanted else {
        throw Failure(
          .notSupported, "VIDIOC_S_SELECTION", on: path,
          "crop \(crop.x),\(crop.y),\(crop.width),\(crop.height) asked, the device gives \(given.left),\(given.top),"
            + "\(given.width),\(given.height)")
      }
    }
    let made = try set(instance.capture, work.to)
    try ScalerRun.turn(device, work.transform)
    guard let inputLayout = CaptureFormats.layout(of: raw), let outputLayout = CaptureFormats.layout(of: made) else {
      throw Failure(.invalidArgument, "VIDIOC_S_FMT", on: path, "the driver answered what cannot be")
    }
    self.work = work
    self.device = device
    self.engine = instance.engine
    self.inputLayout = inputLayout
    self.outputLayout = outputLayout
    self.input = M2MPort(device, raw)
    self.output = M2MPort(device, made)
  }

  private static func turn(_ device: V4L2Device, _ transform: PictureTransform) throws(Failure) {
    let turns = DeviceTurns(transform)
    try asFailure { () throws(KernelError) in
      for (id, wanted) in [(DeviceTurns.horizontal, turns.mirrors), (DeviceTurns.vertical, turns.flips)] {
        if let control = try device.control(id) {
          try device.setValue(wanted ? 1 : 0, of: control)
        } else if wanted {
          throw KernelError(.notSupported, "mirror", on: device.path)
        }
      }
    }
  }

  /// - Returns: bytes of pixels the CPU wrote.
  func process(_ source: borrowing Frame, _ destination: borrowing Frame) throws(Failure) -> Int {
    var copied = 0
    let target = try offer(destination)
    do throws(Failure) {
      let (index, bytes) = try put(source)
      copied += bytes
      inside = (index, target)
      try collect()
    } catch {
      inside = nil
      throw error
    }
    inside = nil
    if output.memory == .mmap { copied += try output.copy(target, as: outputLayout, to: destination) }
    return copied
  }

  /// What hangs is left to a thread of its own, with the pictures the device may still be at.
  func abandon(_ source: borrowing Frame, _ destination: borrowing Frame) {
    HangingDevices.release(
      HangingInstance(
        [input, output],
        holding: [HeldPicture(source.ref.share(as: .anonymous)), HeldPicture(destination.ref.share(as: .anonymous))]))
  }

  // MARK: one picture

  private func imported(_ frame: borrowing Frame, _ port: M2MPort, isFull: Bool) throws(KernelError) -> Int {
    try prepare(port, .dmabuf)
    let buffer = try port.lend(frame, isFull: isFull)
    try port.enqueue(buffer)
    return buffer.index
  }

  /// Gives the driver the memory the picture is to be made in: the frame's own if it can be, else the driver's.
  private func offer(_ frame: borrowing Frame) throws(Failure) -> Int {
    if !outputRefused, output.canImport(frame, as: outputLayout) {
      do throws(KernelError) {
        return try imported(frame, output, isFull: false)
      } catch {
        if error.errno == .deviceGone { throw Failure(error) }
        outputRefused = true
      }
    }
    return try asFailure { () throws(KernelError) in
      try prepare(output, .mmap)
      guard let index = output.takeFree() else { throw KernelError(.resourceBusy, "QBUF", on: device.path) }
      try output.enqueue(QueueBuffer(index: index, planeCount: output.format.planes.count))
      return index
    }
  }

  private func put(_ frame: borrowing Frame) throws(Failure) -> (index: Int, copied: Int) {
    if !inputRefused, input.canImport(frame, as: inputLayout) {
      do throws(KernelError) {
        return (try imported(frame, input, isFull: true), 0)
      } catch {
        if error.errno == .deviceGone { throw Failure(error) }
        inputRefused = true
      }
    }
    try asFailure { () throws(KernelError) in try prepare(input, .mmap) }
    var copied = 0
    let buffer = try input.fill(from: frame, as: inputLayout, copied: &copied)
    try asFailure { () throws(KernelError) in try input.enqueue(buffer) }
    return (buffer.index, copied)
  }

  private func prepare(_ port: M2MPort, _ memory: BufferMemory) throws(KernelError) {
    try port.prepare(memory, memory == .mmap ? 1 : ScalerRun.slots)
  }

  /// Waits until the picture is made and both buffers are ours again.
  private func collect() throws(Failure) {
    var deadline = Deadline(ScalerRun.timeLimit)
    var (hasInput, hasOutput, damaged) = (false, false, false)
    while true {
      if !hasInput, let buffer = try taken(input) {
        hasInput = true
        input.giveBack(buffer.index)
      }
      if !hasOutput, let buffer = try taken(output) {
        hasOutput = true
        damaged = buffer.flags.contains(.error)
        output.giveBack(buffer.index)
      }
      if hasInput && hasOutput { break }
      guard let left = deadline.nextWait() else {
        throw Failure(.timedOut, "VIDIOC_DQBUF", on: device.path, "no picture in \(ScalerRun.timeLimit) ms")
      }
      var interest: PollInterest = []
      if !hasOutput { interest.insert(.readable) }
      if !hasInput { interest.insert(.writable) }
      _ = try asFailure { () throws(KernelError) in try device.wait(for: interest, timeoutMilliseconds: left) }
    }
    if damaged {
      throw Failure(.ioError, "VIDIOC_DQBUF", on: device.path, "the device says the picture is damaged")
    }
  }

  private func taken(_ port: M2MPort) throws(Failure) -> QueueBuffer? {
    switch port.queue.dequeue() {
    case .buffer(let buffer): return buffer
    case .empty: return nil
    case .ended: throw Failure(.brokenPipe, "VIDIOC_DQBUF", on: device.path, "the queue ended")
    case .failed(let error): throw Failure(error)
    }
  }
}

/// Mirroring as the devices have it: two switches, which together also turn by half.
struct DeviceTurns {
  /// V4L2_CID_HFLIP, V4L2_CID_VFLIP
  static let horizontal: UInt32 = 0x0098_0914
  static let vertical: UInt32 = 0x0098_0915

  var mirrors: Bool
  var flips: Bool

  init(_ transform: PictureTransform) {
    let half = transform.rotation == 180
    mirrors = transform.mirror != half
    flips = transform.flip != half
  }
}

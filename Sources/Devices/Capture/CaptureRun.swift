// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore
import Synchronization
internal import SystemPackage

/// One run of a capture queue, from allocating its buffers to stopping it.
///
/// Owns the queue while it runs, and each buffer's memory: exported once (MMAP) or imported from an allocator (DMABUF).
/// A buffer whose last use ends is queued again on the thread that dropped it. When the run is over the driver's
/// descriptor is let go at once; buffers still in use keep their memory through their own descriptors.
final class CaptureRun: BufferOwner {
  let format: VideoFormat
  let layout: FrameLayout
  let memory: BufferMemory
  private let pool: CapturePool
  private let templates: [QueueBuffer]
  private let wakeWorker: @Sendable () -> Void
  private let state: Mutex<State>

  private struct State {
    /// `nil`: the run is over.
    var queue: VideoQueue?
    /// Emptied at the end of the run: until then run and buffers keep each other.
    var buffers: [Buffer] = []
    /// When each buffer was last handed to the driver, CLOCK_MONOTONIC in nanoseconds.
    var queuedAt: [Int64] = []
    /// Buffers the driver refused to take back, to be tried again by the worker.
    var stranded: [Int] = []
  }

  /// Allocates, names, queues and starts. Leaves nothing allocated when it fails.
  ///
  /// - Parameters:
  ///   - count: buffers wished; the driver may give more or fewer.
  ///   - wakeWorker: called when a buffer could not be queued again.
  init(
    _ device: V4L2Device, format: VideoFormat, layout: FrameLayout, memory: BufferMemory, count: Int,
    allocator: any Allocator, pool: CapturePool, wakeWorker: @escaping @Sendable () -> Void
  ) throws(Failure) {
    let queue = VideoQueue(device, format.type, memory: memory)
    var memories: [[any Memory]] = []
    var templates: [QueueBuffer] = []
    do throws(Failure) {
      let given = try asFailure { () throws(KernelError) in try queue.request(count) }
      guard given > 0 else { throw Failure(.noMemory, "VIDIOC_REQBUFS", on: device.path, "no buffer was given") }
      for index in 0..<given {
        let (parts, template) = try CaptureRun.memories(queue, index, format, allocator, pool.name)
        memories.append(parts)
        templates.append(template)
      }
      guard let first = memories.first, CaptureFormats.fits(layout, first.map(\.size)) else {
        throw Failure(
          .invalidArgument, "VIDIOC_QUERYBUF", on: device.path,
          "the driver's buffers are smaller than its own format needs")
      }
    } catch {
      memories = []
      try? queue.releaseAll()
      throw error
    }
    self.format = format
    self.layout = layout
    self.memory = memory
    self.pool = pool
    self.templates = templates
    self.wakeWorker = wakeWorker
    self.state = Mutex(State(queue: queue, queuedAt: templates.map { _ in 0 }))
    let buffers = memories.enumerated().map { index, parts in
      Buffer(memory: parts[0], linked: Array(parts.dropFirst()), size: parts[0].size, index: index, owner: self)
    }
    state.withLock { $0.buffers = buffers }
    pool.begin(
      buffers, size: memories.first?.first?.size ?? 0,
      kind: memory == .mmap ? "v4l2:mmap" : "v4l2:dmabuf:\(allocator.name)")
    do {
      for index in templates.indices {
        try queue.enqueue(templates[index])
        pool.wasQueued()
      }
      try queue.start()
    } catch {
      finish()
      throw Failure(error, memory == .dmabuf ? "memory from \(allocator.name)" : "")
    }
  }

  static func memories(
    _ queue: VideoQueue, _ index: Int, _ format: VideoFormat, _ allocator: any Allocator, _ name: String
  ) throws(Failure) -> ([any Memory], QueueBuffer) {
    let planeCount = max(1, format.planes.count)
    var parts: [any Memory] = []
    let label = planeCount == 1 ? { (_: Int) in "\(name)-\(index)" } : { plane in "\(name)-\(index).\(plane)" }
    var template = QueueBuffer(index: index, planeCount: planeCount)
    switch queue.memory {
    case .mmap:
      let kernel = queue.device.kernel
      for plane in 0..<planeCount {
        let part = try asFailure("the driver cannot export its buffers") { () throws(KernelError) in
          try named(try queue.export(index, plane: plane), label: label(plane), kernel: kernel)
        }
        parts.append(part)
      }
    case .dmabuf:
      for plane in 0..<planeCount {
        let size = format.planes[plane].size
        let part = try allocator.allocate(size: size, label: label(plane))
        guard part.isDMABuf else {
          throw Failure(
            .notSupported, "VIDIOC_QBUF", on: queue.device.path, "\(allocator.name) gives no DMA-BUF to import")
        }
        template[plane] = .init(length: part.size, fileDescriptor: part.fileDescriptor)
        parts.append(part)
      }
    }
    return (parts, template)
  }

  /// Takes the next finished picture. Called by the worker.
  func dequeue() -> Dequeued {
    guard let queue = state.withLock({ $0.queue }) else { return .ended }
    let result = queue.dequeue()
    if case .buffer(let buffer) = result {
      guard templates.indices.contains(buffer.index) else {
        return .failed(KernelError(.ioError, "VIDIOC_DQBUF index \(buffer.index)", on: queue.device.path))
      }
      pool.wasDequeued()
    }
    return result
  }

  /// The first use of a picture that was dequeued; `nil` when the run is over.
  func take(_ index: Int, as user: UserSlot) -> BufferRef? {
    state.withLock { $0.buffers.indices.contains(index) ? $0.buffers[index] : nil }?.take(as: user)
  }

  /// When the driver got the buffer it has now filled. Drivers fill in the order of QBUF: if that was later than the
  /// picture before this one, the driver had nothing to write into in between.
  func queueTime(_ index: Int) -> Int64 {
    state.withLock { $0.queuedAt.indices.contains(index) ? $0.queuedAt[index] : 0 }
  }

  /// Gives a picture that is not wanted straight back.
  func giveBack(_ index: Int) { requeue(index) }

  func recycle(_ buffer: Buffer) {
    if !requeue(buffer.index) { pool.forget(buffer) }
  }

  /// - Returns: false when the run is over.
  @discardableResult
  private func requeue(_ index: Int) -> Bool {
    let (alive, refused) = state.withLock { state in
      guard let queue = state.queue else { return (false, false) }
      do throws(KernelError) {
        try queue.enqueue(templates[index])
      } catch {
        state.stranded.append(index)
        return (true, true)
      }
      state.queuedAt[index] = monotonicNanoseconds()
      pool.wasQueued()
      return (true, false)
    }
    if refused { wakeWorker() }
    return alive
  }

  /// Tries again to hand over what the driver refused. Called by the worker.
  /// - Throws: what the driver says the second time; the run should end then.
  func queueStranded() throws(KernelError) {
    try state.withLock { state throws(KernelError) in
      while let index = state.stranded.last, let queue = state.queue {
        try queue.enqueue(templates[index])
        state.stranded.removeLast()
        state.queuedAt[index] = monotonicNanoseconds()
        pool.wasQueued()
      }
    }
  }

  /// Stops and frees. After it the device may be closed or started anew.
  /// - Returns: false when the driver would not free its buffers while some are in use: the device must be reopened.
  @discardableResult
  func finish() -> Bool {
    // From here on nobody queues: a buffer number of this run must not meet the next run's.
    let (queue, buffers) = state.withLock { state in
      defer { state = State() }
      return (state.queue, state.buffers)
    }
    guard let queue else { return true }
    try? queue.stop()
    pool.end(buffers)
    do throws(KernelError) {
      try queue.releaseAll()
      return true
    } catch {
      return error.errno == .deviceGone
    }
  }
}

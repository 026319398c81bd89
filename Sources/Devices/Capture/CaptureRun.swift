// SPDX-License-Identifier: Apache-2.0
internal import Base
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
    let made = try QueueMemory(
      device, format: format, layout: layout, memory: memory, count: count, allocator: allocator, name: pool.name)
    let (queue, templates) = (made.queue, made.templates)
    self.format = format
    self.layout = layout
    self.memory = memory
    self.pool = pool
    self.templates = templates
    self.wakeWorker = wakeWorker
    self.state = Mutex(State(queue: queue, queuedAt: templates.map { _ in 0 }))
    let buffers = made.buffers(owner: self)
    state.withLock { $0.buffers = buffers }
    pool.begin(
      buffers, size: made.bufferSize,
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
      state.queuedAt[index] = Clock.now()
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
        state.queuedAt[index] = Clock.now()
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

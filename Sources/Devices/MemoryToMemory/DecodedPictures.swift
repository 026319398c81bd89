// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import LinuxMedia
internal import MediaCore
import Synchronization
internal import SystemPackage

/// The CAPTURE queue of a decoder from one change of size to the next, and the pictures in it.
///
/// Owns the memory of its pictures: the driver's own, exported once each (MMAP), or an allocator's (DMABUF, one buffer for
/// good behind each index). What the graph drops comes home on whatever thread and is queued again by the decoder's
/// worker alone, since some drivers work inside QBUF. Nobody writes into a picture: the driver may still read it as a
/// reference. Pictures that are out when the queue ends stay valid through their own descriptors.
final class DecodedPictures: BufferOwner {
  let format: VideoFormat
  let layout: FrameLayout
  let visible: SelectionRectangle
  let pool: CapturePool
  let kind: String
  /// Pictures that were asked for.
  let wished: Int
  private let templates: [QueueBuffer]
  private let home: Mutex<Home>
  private let waker: DeviceWaker

  private struct Worker {
    var queue: VideoQueue?
    var buffers: [Buffer] = []
    /// Which the driver has, and how many.
    var isQueued: [Bool]
    var queued = 0
    var isStreaming = false
  }
  private let worker: Confined<Worker>
  var queued: Int { worker.value.queued }
  var isStreaming: Bool { worker.value.isStreaming }

  private struct Home {
    var isOpen = true
    /// Indexes to be queued again.
    var indexes: [Int] = []
  }

  /// Allocates, queues and starts. Leaves nothing allocated when it fails.
  /// - Parameter count: pictures wished; the driver may give more or fewer.
  init(
    _ device: V4L2Device, format: VideoFormat, layout: FrameLayout, visible: SelectionRectangle,
    memory: BufferMemory, count: Int, configuration: DecoderConfiguration, waker: DeviceWaker
  ) throws(Failure) {
    let made = try QueueMemory(
      device, format: format, layout: layout, memory: memory, count: count, allocator: configuration.allocator,
      name: configuration.poolName)
    self.format = format
    self.layout = layout
    self.visible = visible
    wished = count
    templates = made.templates
    self.waker = waker
    worker = Confined(
      Worker(queue: made.queue, isQueued: Array(repeating: false, count: templates.count)), to: waker.worker)
    kind = memory == .mmap ? "v4l2:mmap" : "v4l2:dmabuf:\(configuration.allocator.name)"
    pool = CapturePool(name: configuration.poolName)
    home = Mutex(Home())
    home.withLock { $0.indexes.reserveCapacity(templates.count) }
    let buffers = made.buffers(owner: self)
    worker.value.buffers = buffers
    pool.begin(buffers, size: made.bufferSize, kind: kind)
    do throws(KernelError) {
      for index in templates.indices { try enqueue(index) }
      try made.queue.start()
      worker.value.isStreaming = true
    } catch {
      finish()
      throw Failure(error, memory == .dmabuf ? "memory from \(configuration.allocator.name)" : "")
    }
  }

  var count: Int { templates.count }

  private func enqueue(_ index: Int) throws(KernelError) {
    try worker.value.queue?.enqueue(templates[index])
    worker.value.isQueued[index] = true
    worker.value.queued += 1
    pool.wasQueued()
  }

  func recycle(_ buffer: Buffer) {
    let isOpen = home.withLock { home in
      if home.isOpen { home.indexes.append(buffer.index) }
      return home.isOpen
    }
    if isOpen { waker.cameHome() } else { pool.forget(buffer) }
  }

  var hasComeHome: Bool { home.withLock { !$0.indexes.isEmpty } }

  /// Gives the driver what came home.
  func queueHome() throws(KernelError) {
    guard isStreaming else { return }
    while let index = home.withLock({ $0.indexes.popLast() }) {
      do throws(KernelError) {
        try enqueue(index)
      } catch {
        home.withLock { $0.indexes.append(index) }
        throw error
      }
    }
  }

  func dequeue() -> Dequeued {
    guard isStreaming, let queue = worker.value.queue else { return .empty }
    let result = queue.dequeue()
    if case .buffer(let buffer) = result {
      guard templates.indices.contains(buffer.index) else {
        return .failed(KernelError(.ioError, "VIDIOC_DQBUF index \(buffer.index)", on: queue.device.path))
      }
      worker.value.isQueued[buffer.index] = false
      worker.value.queued -= 1
      pool.wasDequeued()
    }
    return result
  }

  /// The first use of a picture that was dequeued.
  func take(_ buffer: QueueBuffer, as user: UserSlot) -> BufferRef { worker.value.buffers[buffer.index].take(as: user) }

  /// A dequeued buffer nobody gets.
  func giveBack(_ index: Int) { home.withLock { $0.indexes.append(index) } }

  /// Where the picture lies in a dequeued buffer; drivers may put it further back in the memory.
  func layout(of buffer: QueueBuffer) -> FrameLayout {
    var found = layout
    func move(_ plane: inout Plane) {
      guard plane.lines > 0, plane.memory < buffer.planeCount else { return }
      plane.offset += Int32(clamping: buffer[Int(plane.memory)].dataOffset)
    }
    move(&found.plane0)
    move(&found.plane1)
    move(&found.plane2)
    return found
  }

  /// Takes everything from the driver; what is out stays out. It goes on with ``start()``.
  func stop() throws(KernelError) {
    guard isStreaming, let queue = worker.value.queue else { return }
    try queue.stop()
    worker.value.isStreaming = false
    for index in templates.indices where worker.value.isQueued[index] {
      worker.value.isQueued[index] = false
      pool.wasDequeued()
      giveBack(index)
    }
    worker.value.queued = 0
  }

  func start() throws(KernelError) {
    guard !isStreaming, let queue = worker.value.queue else { return }
    try queue.start()
    worker.value.isStreaming = true
    try queueHome()
  }

  /// The end: the driver's buffers are freed, or orphaned where the graph still has them.
  /// - Returns: false when the driver would not free its buffers while some are in use.
  @discardableResult
  func finish() -> Bool {
    // Also by whoever lets go of the decoder last.
    waker.worker.within {
      guard let queue = worker.value.queue else { return true }
      try? queue.stop()
      let isFree = (try? queue.releaseAll()) != nil
      letGo()
      return isFree
    }
  }

  /// The device is closed by somebody else: nothing of it is touched any more.
  func letGo() {
    worker.value.queue = nil
    worker.value.isStreaming = false
    worker.value.queued = 0
    home.withLock { $0 = Home(isOpen: false) }
    let old = worker.value.buffers
    worker.value.buffers = []
    pool.end(old)
  }
}

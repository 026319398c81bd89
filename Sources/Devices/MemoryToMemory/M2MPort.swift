// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// One queue of a memory-to-memory device with its buffers and which of them the driver has.
///
/// Used by the one worker of the device instance. OUTPUT takes pictures or a stream in, CAPTURE gives them out; both may
/// be the driver's own memory, mapped (MMAP), or imported (DMABUF), where one DMA-BUF keeps to one index since drivers map
/// anew when it changes.
final class M2MPort {
  let device: V4L2Device
  let type: BufferType
  private(set) var queue: VideoQueue
  private(set) var format: VideoFormat
  private(set) var isStreaming = false
  /// Indexes the program has.
  private(set) var free: [Int] = []
  private(set) var count = 0
  /// MMAP: address and size of each plane of each buffer.
  private var mapped: [[Memory]] = []
  /// DMABUF: identity of the buffer an index was last used for.
  private var imported: [UInt32?] = []

  private final class Memory {
    let mapping: Mapping
    init(_ mapping: consuming Mapping) { self.mapping = mapping }
  }

  init(_ device: V4L2Device, _ format: VideoFormat) {
    self.device = device
    self.type = format.type
    self.format = format
    self.queue = VideoQueue(device, format.type, memory: .mmap)
  }

  /// The mappings go before the device does: each keeps the open file alive as a descriptor does, and the last of them
  /// would wait for hardware that hangs, on whatever thread that is.
  deinit { mapped = [] }

  var memory: BufferMemory { queue.memory }

  /// Allocates buffers, or slots for imported ones. The queue must have none.
  func allocate(_ wished: Int, _ memory: BufferMemory) throws(KernelError) {
    let queue = VideoQueue(device, type, memory: memory)
    let given = try queue.request(wished)
    var maps: [[Memory]] = []
    if memory == .mmap {
      for index in 0..<given {
        let buffer = try queue.query(index)
        var planes: [Memory] = []
        for plane in 0..<buffer.planeCount {
          planes.append(
            Memory(
              try Mapping(
                device.raw, size: buffer[plane].length, offset: Int64(buffer[plane].mapOffset), subject: device.path,
                kernel: device.kernel)))
        }
        maps.append(planes)
      }
    }
    (self.queue, count, mapped) = (queue, given, maps)
    imported = Array(repeating: nil, count: given)
    free = Array((0..<given).reversed())
  }

  /// Frees all; the queue is stopped. When the driver refuses the port has none all the same, and asks for new ones the
  /// next time, which frees the old ones.
  func release() throws(KernelError) {
    // Drivers without orphaned buffers free none that is mapped.
    (count, free, imported, mapped) = (0, [], [], [])
    try queue.releaseAll()
  }

  /// - Precondition: MMAP.
  func bytes(_ index: Int, plane: Int) -> UnsafeMutableRawBufferPointer {
    let mapping = mapped[index][plane]
    return UnsafeMutableRawBufferPointer(start: mapping.mapping.address, count: mapping.mapping.size)
  }

  /// Whether the driver can be given the frame's own memory: DMA-BUFs, one for each plane and large enough, with the
  /// picture where the queue's layout has it.
  func canImport(_ frame: borrowing Frame, as layout: FrameLayout) -> Bool {
    let buffer = frame.buffer
    guard buffer.memory.isDMABuf, buffer.memoryCount == format.planes.count, PlaneCopy.agree(frame.layout, layout)
    else { return false }
    for (index, plane) in format.planes.enumerated() where buffer.memory(index).size < plane.size { return false }
    return true
  }

  func takeFree() -> Int? { free.popLast() }

  /// A slot for a DMA-BUF: the one it had before, else one never used, else any.
  func takeFree(for identity: UInt32) -> Int? {
    let position =
      free.firstIndex { imported[$0] == identity } ?? free.firstIndex { imported[$0] == nil } ?? free.indices.last
    guard let position else { return nil }
    let index = free.remove(at: position)
    imported[index] = identity
    return index
  }

  func giveBack(_ index: Int) { free.append(index) }

  /// On failure the buffer is the program's again.
  func enqueue(_ buffer: QueueBuffer) throws(KernelError) {
    do {
      try queue.enqueue(buffer)
    } catch {
      giveBack(buffer.index)
      throw error
    }
  }

  /// Hands the driver every empty buffer there is.
  func enqueueAllFree() throws(KernelError) {
    while let index = takeFree() { try enqueue(QueueBuffer(index: index, planeCount: max(1, format.planes.count))) }
  }

  func start() throws(KernelError) {
    try queue.start()
    isStreaming = true
  }

  /// All buffers are the program's again.
  func stop() throws(KernelError) {
    try queue.stop()
    isStreaming = false
    free = Array((0..<count).reversed())
  }
}

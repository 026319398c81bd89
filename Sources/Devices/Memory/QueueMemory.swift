// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore
internal import SystemPackage

/// The buffers of a V4L2 queue that gives pictures: the device's own, exported, or the allocator's, to be imported.
struct QueueMemory {
  let queue: VideoQueue
  /// What QBUF takes for each buffer, the same descriptor under the same index every time.
  let templates: [QueueBuffer]
  /// The parts of each buffer, one for each memory plane.
  private let memories: [[any Memory]]

  /// Leaves nothing allocated when it fails.
  /// - Parameters:
  ///   - count: buffers wished; the driver may give more or fewer.
  ///   - name: of the pool; with the index the name of each DMA-BUF.
  /// - Throws: ENOMEM, EINVAL where the driver's buffers are too small for its format, what the kernel says.
  init(
    _ device: V4L2Device, format: VideoFormat, layout: FrameLayout, memory: BufferMemory, count: Int,
    allocator: any Allocator, name: String
  ) throws(Failure) {
    let queue = VideoQueue(device, format.type, memory: memory)
    var memories: [[any Memory]] = []
    var templates: [QueueBuffer] = []
    do throws(Failure) {
      let given = try asFailure { () throws(KernelError) in try queue.request(count) }
      guard given > 0 else { throw Failure(.noMemory, "VIDIOC_REQBUFS", on: device.path, "no buffer was given") }
      for index in 0..<given {
        let (parts, template) = try Self.memories(queue, index, format, allocator, name)
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
    self.queue = queue
    self.templates = templates
    self.memories = memories
  }

  /// Bytes of the first plane's memory.
  var bufferSize: Int { memories.first?.first?.size ?? 0 }

  /// The buffers, which come home to `owner`.
  func buffers(owner: any BufferOwner) -> [Buffer] {
    memories.enumerated().map { index, parts in
      Buffer(memory: parts[0], linked: Array(parts.dropFirst()), size: parts[0].size, index: index, owner: owner)
    }
  }

  private static func memories(
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
}

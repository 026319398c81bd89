// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// What a queue can do with its buffers (VIDIOC_REQBUFS `capabilities`).
public struct QueueCapabilities: OptionSet, Sendable, CustomStringConvertible {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let mmap = QueueCapabilities(rawValue: 1 << 0)
  public static let userPointer = QueueCapabilities(rawValue: 1 << 1)
  public static let dmabuf = QueueCapabilities(rawValue: 1 << 2)
  public static let requests = QueueCapabilities(rawValue: 1 << 3)
  /// REQBUFS 0 works while exported or mapped buffers are still in use.
  public static let orphanedBuffers = QueueCapabilities(rawValue: 1 << 4)

  public var description: String {
    let names: [(QueueCapabilities, String)] = [
      (.mmap, "mmap"), (.userPointer, "userptr"), (.dmabuf, "dmabuf"), (.requests, "requests"),
      (.orphanedBuffers, "orphaned"),
    ]
    return names.filter { contains($0.0) }.map(\.1).joined(separator: " ")
  }
}

/// What the driver says of a buffer (V4L2_BUF_FLAG_).
public struct BufferFlags: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let keyFrame = BufferFlags(rawValue: 0x0000_0008)
  public static let pFrame = BufferFlags(rawValue: 0x0000_0010)
  public static let bFrame = BufferFlags(rawValue: 0x0000_0020)
  /// The data may be damaged.
  public static let error = BufferFlags(rawValue: 0x0000_0040)
  public static let monotonicTime = BufferFlags(rawValue: 0x0000_2000)
  /// The time stamp is the one of the OUTPUT buffer it was made from.
  public static let copiedTime = BufferFlags(rawValue: 0x0000_4000)
  /// The last buffer before the queue ends; it may be empty.
  public static let last = BufferFlags(rawValue: 0x0010_0000)
}

/// One buffer on its way through QBUF or DQBUF. A value of fixed size: a frame costs no allocation.
public struct QueueBuffer: Sendable {
  /// Most memory planes a buffer can have.
  public static let maximumPlanes = Int(MPIFS_MAX_PLANES)

  public struct Plane: Sendable, Equatable {
    /// Bytes of data, `dataOffset` included.
    public var bytesUsed: Int = 0
    /// Size of the memory.
    public var length: Int = 0
    /// Bytes before the data (multi-planar devices only).
    public var dataOffset: Int = 0
    /// The DMA-BUF, for queues of imported memory.
    public var fileDescriptor: CInt = -1
    /// What `mmap` of the device wants; use it as it is (M2M devices put CAPTURE above 1 GiB).
    public internal(set) var mapOffset: UInt32 = 0
    public init(bytesUsed: Int = 0, length: Int = 0, dataOffset: Int = 0, fileDescriptor: CInt = -1) {
      self.bytesUsed = bytesUsed
      self.length = length
      self.dataOffset = dataOffset
      self.fileDescriptor = fileDescriptor
    }
  }

  var flat: mpifs_buffer

  init(_ flat: mpifs_buffer) { self.flat = flat }

  /// An empty buffer to fill in.
  public init(index: Int, planeCount: Int) {
    flat = mpifs_buffer()
    flat.index = UInt32(clamping: index)
    flat.num_planes = UInt32(clamping: min(max(1, planeCount), QueueBuffer.maximumPlanes))
  }

  public var index: Int { Int(flat.index) }
  public var flags: BufferFlags { BufferFlags(rawValue: flat.flags) }
  /// Counts the frames of the stream, lost ones included; wraps at 2^32.
  public var sequence: UInt32 { flat.sequence }
  public var field: UInt32 {
    get { flat.field }
    set { flat.field = newValue }
  }
  public var planeCount: Int { Int(flat.num_planes) }

  /// Seconds and microseconds; for M2M devices a cookie that comes out as it went in.
  public var timestamp: (seconds: Int64, microseconds: Int64) {
    get { (flat.tv_sec, flat.tv_usec) }
    set { (flat.tv_sec, flat.tv_usec) = newValue }
  }

  /// - Precondition: `plane < planeCount`.
  public subscript(plane: Int) -> Plane {
    get {
      precondition(plane >= 0 && plane < planeCount)
      let raw = withUnsafePointer(to: flat) { mpifs_buffer_plane($0, UInt32(plane)) }
      var result = Plane(
        bytesUsed: Int(raw.bytesused), length: Int(raw.length), dataOffset: Int(raw.data_offset),
        fileDescriptor: raw.fd)
      result.mapOffset = raw.mem_offset
      return result
    }
    set {
      precondition(plane >= 0 && plane < planeCount)
      mpifs_buffer_set_plane(
        &flat, UInt32(plane),
        mpifs_plane(
          bytesused: UInt32(clamping: newValue.bytesUsed), length: UInt32(clamping: newValue.length),
          data_offset: UInt32(clamping: newValue.dataOffset), mem_offset: newValue.mapOffset,
          fd: newValue.fileDescriptor))
    }
  }
}

/// What DQBUF answered.
public enum Dequeued: Sendable {
  case buffer(QueueBuffer)
  /// Nothing ready.
  case empty
  /// The buffer marked LAST has been taken: the queue ended (EPIPE). A state, not something to try again.
  case ended
  case failed(KernelError)
}

/// One queue of an open device.
///
/// Owned by the device's one worker; only ``enqueue(_:)`` may be called from other threads (the kernel serialises).
public final class VideoQueue: Sendable {
  public let device: V4L2Device
  public let type: BufferType
  public let memory: BufferMemory

  public init(_ device: V4L2Device, _ type: BufferType, memory: BufferMemory) {
    self.device = device
    self.type = type
    self.memory = memory
  }

  /// What the queue can do; asked with a request for no buffers, so only while none are allocated.
  public static func capabilities(
    _ device: V4L2Device, _ type: BufferType, memory: BufferMemory = .mmap
  ) throws(KernelError) -> QueueCapabilities {
    var argument = v4l2_requestbuffers()
    argument.type = type.rawValue
    argument.memory = memory.rawValue
    try device.control("VIDIOC_REQBUFS", mpifs_VIDIOC_REQBUFS, &argument)
    return QueueCapabilities(rawValue: argument.capabilities)
  }

  /// Allocates buffers (or, for imported memory, their slots).
  /// - Returns: how many there are, which may be fewer or more than asked.
  public func request(_ count: Int) throws(KernelError) -> Int {
    var argument = v4l2_requestbuffers()
    argument.count = UInt32(clamping: count)
    argument.type = type.rawValue
    argument.memory = memory.rawValue
    try device.control("VIDIOC_REQBUFS", mpifs_VIDIOC_REQBUFS, &argument)
    return Int(argument.count)
  }

  /// Frees all buffers. Exported ones live on until their descriptors are closed, where the driver allows it.
  /// - Throws: EBUSY when some are in use and the driver does not.
  public func releaseAll() throws(KernelError) { _ = try request(0) }

  /// Adds buffers to those there are, for another format if wanted.
  /// - Returns: index of the first and how many.
  public func create(_ count: Int, format: VideoFormat) throws(KernelError) -> Range<Int> {
    var argument = v4l2_create_buffers()
    argument.count = UInt32(clamping: count)
    argument.memory = memory.rawValue
    argument.format = format.kernelFormat
    try device.control("VIDIOC_CREATE_BUFS", mpifs_VIDIOC_CREATE_BUFS, &argument)
    return Int(argument.index)..<Int(argument.index + argument.count)
  }

  /// A buffer's planes: their sizes, and where to map them.
  public func query(_ index: Int) throws(KernelError) -> QueueBuffer {
    var buffer = QueueBuffer(index: index, planeCount: QueueBuffer.maximumPlanes)
    let result = pass(mpifs_VIDIOC_QUERYBUF, &buffer)
    if result < 0 { throw device.error(result, "VIDIOC_QUERYBUF") }
    return buffer
  }

  /// A new descriptor of a plane as a DMA-BUF. Every call makes another one and each keeps the memory alive: once for
  /// each buffer and plane.
  public func export(_ index: Int, plane: Int) throws(KernelError) -> Descriptor {
    var argument = v4l2_exportbuffer()
    argument.type = type.rawValue
    argument.index = UInt32(clamping: index)
    argument.plane = UInt32(clamping: plane)
    argument.flags = UInt32(O_RDWR | O_CLOEXEC)
    try device.control("VIDIOC_EXPBUF", mpifs_VIDIOC_EXPBUF, &argument)
    return Descriptor(owning: argument.fd, kernel: device.kernel)
  }

  /// Hands a buffer to the driver. Some M2M drivers do their work inside this call.
  public func enqueue(_ buffer: QueueBuffer) throws(KernelError) {
    var copy = buffer
    let result = pass(mpifs_VIDIOC_QBUF, &copy)
    if result < 0 { throw device.error(result, "VIDIOC_QBUF") }
  }

  /// Takes a finished buffer; does not wait.
  public func dequeue() -> Dequeued {
    var buffer = QueueBuffer(index: 0, planeCount: QueueBuffer.maximumPlanes)
    let result = pass(mpifs_VIDIOC_DQBUF, &buffer)
    if result >= 0 { return .buffer(buffer) }
    switch -result {
    case EAGAIN: return .empty
    case EPIPE: return .ended
    default: return .failed(device.error(result, "VIDIOC_DQBUF"))
    }
  }

  public func start() throws(KernelError) {
    var argument = CInt(bitPattern: type.rawValue)
    try device.control("VIDIOC_STREAMON", mpifs_VIDIOC_STREAMON, &argument)
  }

  /// Stops; all buffers belong to the program again and none can be dequeued.
  public func stop() throws(KernelError) {
    var argument = CInt(bitPattern: type.rawValue)
    try device.control("VIDIOC_STREAMOFF", mpifs_VIDIOC_STREAMOFF, &argument)
  }

  /// One buffer ioctl with the layout the type wants. Memory for the planes is on the stack.
  private func pass(_ request: UInt, _ buffer: inout QueueBuffer) -> CInt {
    buffer.flat.type = type.rawValue
    buffer.flat.memory = memory.rawValue
    return withUnsafeTemporaryAllocation(of: v4l2_plane.self, capacity: QueueBuffer.maximumPlanes) { planes in
      var argument = v4l2_buffer()
      mpifs_buffer_to_kernel(&buffer.flat, &argument, planes.baseAddress)
      let result = device.attempt(request, &argument)
      if result >= 0 { mpifs_buffer_from_kernel(&argument, &buffer.flat) }
      return result
    }
  }
}

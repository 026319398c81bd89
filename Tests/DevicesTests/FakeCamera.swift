// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxMedia
import MediaCore
import Synchronization

/// A capture driver behind the kernel's door: one NV12 and YUYV camera (or with other formats), in whichever buffer
/// layout is asked for, that fills a queued buffer whenever somebody waits for one. Time does not pass in it.
final class FakeCamera: KernelWrapper {
  struct State {
    var isPresent = true
    /// Its node.
    var path = "/dev/video0"
    var bus = "usb-0000:00:14.0-1"
    /// Does not come back by itself.
    var staysAway = false
    /// Blocks in `poll` although buffers are queued.
    var isSilent = false
    /// Somebody has waited while it was silent.
    var isWaitedFor = false
    var openFiles: Set<CInt> = []
    var format = mpifs_format()
    var count = 0
    var queued: [UInt32] = []
    var done: [mpifs_buffer] = []
    var isStreaming = false
    var isBroken = false
    var sequence: UInt32 = 0
    var skip: UInt32 = 0
    var nextFlags: UInt32 = 0
    /// Bytes left out of `sizeimage`: a driver that promises less than its format needs.
    var missingBytes: UInt32 = 0
    var canExport = true
    var imports: [Int32] = []
    var isImporting = false
    var offersSize = true
    /// `nil`: a driver without controls.
    var controls: FakeControls?
    var formats = [mpifs_V4L2_PIX_FMT_YUYV, mpifs_V4L2_PIX_FMT_NV12, mpifs_V4L2_PIX_FMT_H264]
    /// Most frames a second of a format; the others do not tell.
    var rates: [UInt32: UInt32] = [:]
    /// What is in the next buffers, one after the other; then no more come. Empty from the start: whatever was there.
    var pictures: [[UInt8]] = []
    /// Exported memory of the buffers, by their number.
    var exported: [UInt32: Int32] = [:]
    /// What the driver refuses for imported memory: REQBUFS, QBUF or STREAMON.
    var refusesImportAt: UInt?
  }

  private let state = Mutex(State())
  private let real = LinuxKernel()
  var inner: any Kernel { real }
  private let type: UInt32

  init(multiplanar: Bool = false) { type = multiplanar ? 9 : 1 }

  func with<Result>(_ body: (inout State) -> Result) -> Result { state.withLock { body(&$0) } }

  func open(_ path: String, _ flags: CInt) -> CInt {
    guard path == with({ $0.path }) else { return real.open(path, flags) }
    return with { state in
      // As vivid: a device that left is back when nobody holds it open any more.
      if !state.isPresent {
        guard state.openFiles.isEmpty, !state.staysAway else { return -ENODEV }
        state.isPresent = true
      }
      let fd = real.eventfd()
      state.openFiles.insert(fd)
      return fd
    }
  }

  func close(_ fd: CInt) -> CInt {
    with { state in
      if state.openFiles.remove(fd) != nil {
        (state.isStreaming, state.isBroken, state.count, state.queued, state.done) = (false, false, 0, [], [])
      }
    }
    return real.close(fd)
  }

  func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    // DMA_BUF_IOCTL_SYNC: what is exported here is always coherent.
    if request == 0x4008_6200 { return 0 }
    return with { state in
      guard state.openFiles.contains(fd) else { return real.ioctl(fd, request, argument) }
      guard state.isPresent else { return -ENODEV }
      guard let argument else { return -EFAULT }
      return answer(request, argument, &state)
    }
  }

  func poll(_ descriptors: UnsafeMutableBufferPointer<pollfd>, _ timeout: CInt) -> CInt {
    // The device first, as the source has it; only the wake-up is a real descriptor to wait on.
    guard descriptors.count == 2 else { return real.poll(descriptors, timeout) }
    let events = with { state in self.events(&state) }
    descriptors[0].revents = events
    let wake = UnsafeMutableBufferPointer(rebasing: descriptors[1...])
    let woken = real.poll(wake, events == 0 ? timeout : 0)
    return (events == 0 ? 0 : 1) + max(0, woken)
  }

  private func events(_ state: inout State) -> Int16 {
    guard state.isPresent else { return Int16(POLLPRI | POLLERR | POLLHUP) }
    if state.isBroken || !state.isStreaming { return Int16(POLLERR) }
    if state.isSilent { state.isWaitedFor = true }
    if state.done.isEmpty, !state.isSilent, !state.queued.isEmpty {
      var buffer = mpifs_buffer()
      buffer.index = state.queued.removeFirst()
      buffer.type = type
      buffer.memory = 1
      buffer.flags = 0x2000 | state.nextFlags
      state.nextFlags = 0
      state.sequence &+= state.skip
      state.skip = 0
      buffer.sequence = state.sequence
      state.sequence &+= 1
      var now = timespec()
      clock_gettime(CLOCK_MONOTONIC, &now)
      (buffer.tv_sec, buffer.tv_usec) = (Int64(now.tv_sec), Int64(now.tv_nsec) / 1000)
      buffer.num_planes = state.format.num_planes
      let bytes = fill(buffer.index, &state)
      for plane in 0..<buffer.num_planes {
        let size = bytes ?? mpifs_format_plane(&state.format, plane).sizeimage
        mpifs_buffer_set_plane(
          &buffer, plane,
          mpifs_plane(
            bytesused: size, length: mpifs_format_plane(&state.format, plane).sizeimage, data_offset: 0, mem_offset: 0,
            fd: -1))
      }
      state.done.append(buffer)
    }
    let hasEvents = !(state.controls?.events.isEmpty ?? true)
    return (state.done.isEmpty ? 0 : Int16(POLLIN)) | (hasEvents ? Int16(POLLPRI) : 0)
  }

  /// - Returns: how many bytes the picture has, where a test gave one.
  private func fill(_ index: UInt32, _ state: inout State) -> UInt32? {
    guard let picture = state.pictures.first, let fd = state.exported[index] else { return nil }
    state.pictures.removeFirst()
    state.isSilent = state.pictures.isEmpty
    pwrite(fd, picture, picture.count, 0)
    return UInt32(picture.count)
  }

  private func answer(_ request: UInt, _ argument: UnsafeMutableRawPointer, _ state: inout State) -> CInt {
    if let result = state.controls?.answer(request, argument) { return result }
    switch request {
    case mpifs_VIDIOC_QUERYCAP:
      let out = argument.bindMemory(to: v4l2_capability.self, capacity: 1)
      out.pointee.capabilities = 0x8000_0000
      out.pointee.device_caps = (type == 9 ? 0x1000 : 0x1) | 0x0400_0000
      out.pointee.version = 0x06_0c_75
      withUnsafeMutableBytes(of: &out.pointee.card) { $0.copyBytes(from: "Fake".utf8) }
      withUnsafeMutableBytes(of: &out.pointee.bus_info) { $0.copyBytes(from: state.bus.utf8) }
      return 0
    case mpifs_VIDIOC_ENUM_FMT:
      let out = argument.bindMemory(to: v4l2_fmtdesc.self, capacity: 1)
      guard out.pointee.type == type, out.pointee.index < state.formats.count else { return -EINVAL }
      out.pointee.pixelformat = state.formats[Int(out.pointee.index)]
      return 0
    case mpifs_VIDIOC_ENUM_FRAMEINTERVALS:
      let out = argument.bindMemory(to: v4l2_frmivalenum.self, capacity: 1)
      guard let rate = state.rates[out.pointee.pixel_format], out.pointee.index == 0 else { return -EINVAL }
      out.pointee.type = UInt32(V4L2_FRMIVAL_TYPE_DISCRETE.rawValue)
      out.pointee.discrete = v4l2_fract(numerator: 1, denominator: rate)
      return 0
    case mpifs_VIDIOC_ENUM_FRAMESIZES:
      let out = argument.bindMemory(to: v4l2_frmsizeenum.self, capacity: 1)
      guard out.pointee.index == 0 else { return -EINVAL }
      out.pointee.type = UInt32(V4L2_FRMSIZE_TYPE_DISCRETE.rawValue)
      out.pointee.discrete = v4l2_frmsize_discrete(width: 640, height: 360)
      return 0
    case mpifs_VIDIOC_S_FMT:
      let out = argument.bindMemory(to: v4l2_format.self, capacity: 1)
      guard state.count == 0 else { return -EBUSY }
      mpifs_format_from_kernel(out, &state.format)
      (state.format.width, state.format.height, state.format.num_planes) = (640, 360, 1)
      let (line, size): (UInt32, UInt32) =
        switch state.format.pixelformat {
        case mpifs_V4L2_PIX_FMT_YUYV: (1280, 460_800)
        case mpifs_V4L2_PIX_FMT_MJPEG: (0, 200_000)
        case PixelFormat("RGGB").rawValue: (640, 230_400)
        default: (640, 345_600)
        }
      mpifs_format_set_plane(
        &state.format, 0, mpifs_plane_format(bytesperline: line, sizeimage: size - state.missingBytes))
      mpifs_format_to_kernel(&state.format, out)
      return 0
    case mpifs_VIDIOC_S_PARM:
      let out = argument.bindMemory(to: v4l2_streamparm.self, capacity: 1)
      out.pointee.parm.capture.capability = 0x1000
      out.pointee.parm.capture.timeperframe = v4l2_fract(numerator: 1, denominator: 25)
      return 0
    case mpifs_VIDIOC_REQBUFS:
      let out = argument.bindMemory(to: v4l2_requestbuffers.self, capacity: 1)
      guard !state.isStreaming else { return -EBUSY }
      if out.pointee.memory == 4, out.pointee.count > 0, state.refusesImportAt == request { return -EINVAL }
      state.isImporting = out.pointee.memory == 4
      out.pointee.count = min(out.pointee.count, 6)
      out.pointee.capabilities = 0b10101
      state.count = Int(out.pointee.count)
      (state.queued, state.done) = ([], [])
      return 0
    case mpifs_VIDIOC_EXPBUF:
      let out = argument.bindMemory(to: v4l2_exportbuffer.self, capacity: 1)
      guard state.canExport else { return -ENOTTY }
      let fd = real.memfd("plane")
      _ = real.truncate(fd, Int64(mpifs_format_plane(&state.format, out.pointee.plane).sizeimage))
      out.pointee.fd = fd
      if out.pointee.plane == 0 { state.exported[out.pointee.index] = fd }
      return 0
    case mpifs_VIDIOC_QBUF:
      var buffer = mpifs_buffer()
      mpifs_buffer_from_kernel(argument.bindMemory(to: v4l2_buffer.self, capacity: 1), &buffer)
      guard Int(buffer.index) < state.count, !state.queued.contains(buffer.index) else { return -EINVAL }
      if buffer.memory == 4, state.refusesImportAt == request { return -EINVAL }
      if buffer.memory == 4 { state.imports.append(mpifs_buffer_plane(&buffer, 0).fd) }
      state.queued.append(buffer.index)
      return 0
    case mpifs_VIDIOC_DQBUF:
      if state.isBroken { return -EIO }
      guard !state.done.isEmpty else { return -EAGAIN }
      var done = state.done.removeFirst()
      let out = argument.bindMemory(to: v4l2_buffer.self, capacity: 1)
      let planes = type == 9 ? out.pointee.m.planes : nil
      mpifs_buffer_to_kernel(&done, out, planes)
      return 0
    case mpifs_VIDIOC_STREAMON:
      if state.isImporting, state.refusesImportAt == request { return -EINVAL }
      state.isStreaming = true
      return 0
    case mpifs_VIDIOC_STREAMOFF:
      (state.isStreaming, state.isBroken, state.queued, state.done) = (false, false, [], [])
      return 0
    case mpifs_VIDIOC_DQEVENT: return -ENOENT
    default: return -ENOTTY
    }
  }
}

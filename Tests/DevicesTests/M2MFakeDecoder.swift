// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxMedia
import Synchronization

/// A stateful decoder behind the kernel's door. It "decodes" pictures with an FWHT header, whose last word says when the
/// picture is shown; the picture's first byte is that word. What real drivers do differently is a switch.
final class M2MFakeDecoder: KernelWrapper {
  struct Switches {
    var driver = "fake"
    var raw: [UInt32] = [mpifs_V4L2_PIX_FMT_NV12]
    /// Lines are decoded in blocks of so many.
    var lineBlock = 1
    var hasEvents = true
    /// Subscribed to, and never sent.
    var isSilent = false
    var hasCommands = true
    /// START is accepted and changes nothing.
    var startIsDeaf = false
    /// The last picture carries LAST itself instead of an empty buffer after it; or only EPIPE tells.
    var lastIsPicture = false
    var hasLast = true
    var keepsTime = true
    /// Pictures kept back until more come.
    var reorder = 0
    /// Units kept until more come.
    var lookAhead = 0
    /// V4L2_CID_MIN_BUFFERS_FOR_CAPTURE
    var needed: Int64?
    var unitSize: UInt32 = 65536
    var composeErrno: CInt?
    var exportErrno: CInt?
    var importErrno: CInt?
    /// REQBUFS 0 while a picture is out.
    var freesNothing = false
    /// Pictures it gives at most, however many are asked for.
    var most = 32
    /// The next unit needs more references; its size is the same.
    var changesReferences = false
    /// Reads no unit and says all the same that it is done.
    var readsNothing = false
    /// Units are VP8 frames with the same words behind their header; those not shown give no picture.
    var isVP8 = false
    var damages: Set<UInt32> = []
    var hangs = false
  }

  private struct Picture {
    var order: UInt32
    var stamp: (Int64, Int64)
  }

  private struct Queue {
    var format = mpifs_format()
    var count = 0
    var memory: UInt32 = 1
    var queued: [mpifs_buffer] = []
    var done: [mpifs_buffer] = []
    var isStreaming = false
  }

  private struct State {
    var switches: Switches
    var device: CInt = -1
    var opened = 0
    var capture = Queue()
    var output = Queue()
    var maps: [Int64: Int64] = [:]
    /// Memories of the pictures the driver made.
    var memories: [CInt] = []
    var pending: [Picture] = []
    var events: [UInt32] = []
    var size: (UInt32, UInt32) = (0, 0)
    var isChanging = false
    var isStopping = false
    var hasEnded = false
    var commands: [UInt32] = []
    var exports = 0
    var imports: [UInt32: Set<Int32>] = [:]
    var unitFormats: [(UInt32, UInt32)] = []
  }

  let inner: any Kernel = LinuxKernel()
  private let state: Mutex<State>

  init(_ change: (inout Switches) -> Void = { _ in }) {
    var switches = Switches()
    change(&switches)
    state = Mutex(State(switches: switches))
  }

  /// A unit of the stream: size of the picture and when it is shown.
  static func unit(_ width: UInt32, _ height: UInt32, order: UInt32, isKey: Bool = false, size: Int = 44) -> [UInt8] {
    var words = [UInt32](repeating: 0, count: 11)
    (words[0], words[1], words[3], words[4]) = (0x4f4f_4f4f, 0xffff_ffff, width, height)
    words[5] = isKey ? 1 << 10 : 0
    words[10] = order
    return words.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
      + [UInt8](repeating: 0, count: size - 44)
  }

  /// A VP8 frame with such a unit in it. The frame's own header is 3 bytes, 10 of a key frame.
  static func vp8Unit(
    _ width: UInt32, _ height: UInt32, order: UInt32, isKey: Bool = false, isShown: Bool = true
  ) -> [UInt8] {
    let tag = UInt8(isKey ? 0 : 1) | (isShown ? 0x10 : 0)
    let sizes = [width, height].flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
    return [tag, 0, 0, 0x9d, 0x01, 0x2a] + sizes + [0, 0] + unit(width, height, order: order, isKey: isKey)
  }

  func change(_ body: (inout Switches) -> Void) { state.withLock { body(&$0.switches) } }
  var opened: Int { state.withLock { $0.opened } }
  var exports: Int { state.withLock { $0.exports } }
  /// START (0) and STOP (1) as they came.
  var commands: [UInt32] { state.withLock { $0.commands } }
  /// Descriptors each index was used with.
  var imports: [Int] { state.withLock { $0.imports.values.map(\.count) } }
  var pictureCount: Int { state.withLock { $0.capture.count } }
  var unitFormats: [[UInt32]] { state.withLock { $0.unitFormats.map { [$0.0, $0.1] } } }

  // MARK: the door

  func open(_ path: String, _ flags: CInt) -> CInt {
    guard path.hasPrefix("/dev/video") else { return inner.open(path, flags) }
    let fd = inner.eventfd()
    state.withLock { state in
      let (switches, opened) = (state.switches, state.opened)
      let (commands, formats) = (state.commands, state.unitFormats)
      state = State(switches: switches)
      (state.device, state.opened, state.commands, state.unitFormats) = (fd, opened + 1, commands, formats)
    }
    return fd
  }

  func close(_ fd: CInt) -> CInt {
    let isDevice = state.withLock { state in
      guard state.device == fd else { return false }
      state.device = -1
      return true
    }
    if isDevice {
      while state.withLock({ $0.switches.hangs }) { usleep(1000) }
      state.withLock { state in
        for memory in state.memories { _ = inner.close(memory) }
        state.memories = []
      }
    }
    return inner.close(fd)
  }

  func mmap(_ length: Int, _ protection: CInt, _ fd: CInt, _ offset: Int64) -> Int64 {
    guard state.withLock({ $0.device == fd }) else { return inner.mmap(length, protection, fd, offset) }
    let memory = anonymous(length)
    defer { _ = inner.close(memory) }
    let address = inner.mmap(length, protection, memory, 0)
    state.withLock { $0.maps[offset] = address }
    return address
  }

  private func anonymous(_ size: Int) -> CInt {
    let fd = inner.memfd("fake")
    _ = inner.truncate(fd, Int64(size))
    return fd
  }

  func poll(_ descriptors: UnsafeMutableBufferPointer<pollfd>, _ timeout: CInt) -> CInt {
    let (events, isOurs) = state.withLock { state -> (Int16, Bool) in
      guard state.device >= 0, state.device == descriptors[0].fd else { return (0, false) }
      var events: Int16 = 0
      if !state.capture.done.isEmpty || state.hasEnded { events |= Int16(POLLIN) }
      if !state.output.done.isEmpty { events |= Int16(POLLOUT) }
      if !state.events.isEmpty { events |= Int16(POLLPRI) }
      return (events & descriptors[0].events, true)
    }
    guard isOurs else { return inner.poll(descriptors, timeout) }
    descriptors[0].revents = events
    guard descriptors.count > 1 else { return events == 0 ? 0 : 1 }
    // Nothing happens here by itself: only another thread can end the wait.
    let rest = UnsafeMutableBufferPointer(rebasing: descriptors[1...])
    return inner.poll(rest, events == 0 ? timeout : 0) + (events == 0 ? 0 : 1)
  }

  func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    state.withLock { state in
      guard state.device == fd, let argument else { return inner.ioctl(fd, request, argument) }
      return answer(request, argument, &state)
    }
  }

  private func answer(_ request: UInt, _ argument: UnsafeMutableRawPointer, _ state: inout State) -> CInt {
    let switches = state.switches
    switch request {
    case mpifs_VIDIOC_QUERYCAP:
      let out = argument.bindMemory(to: v4l2_capability.self, capacity: 1)
      (out.pointee.capabilities, out.pointee.device_caps) = (0x8000_0000, 0x0400_8000)
      withUnsafeMutableBytes(of: &out.pointee.driver) { $0.copyBytes(from: switches.driver.utf8) }
      return 0
    case mpifs_VIDIOC_ENUM_FMT:
      let out = argument.bindMemory(to: v4l2_fmtdesc.self, capacity: 1)
      let list =
        out.pointee.type == 1 ? switches.raw : [switches.isVP8 ? mpifs_V4L2_PIX_FMT_VP8 : mpifs_V4L2_PIX_FMT_FWHT]
      guard Int(out.pointee.index) < list.count else { return -EINVAL }
      out.pointee.pixelformat = list[Int(out.pointee.index)]
      return 0
    case mpifs_VIDIOC_SUBSCRIBE_EVENT: return switches.hasEvents ? 0 : -EINVAL
    case mpifs_VIDIOC_DQEVENT:
      guard !state.events.isEmpty else { return -ENOENT }
      argument.bindMemory(to: v4l2_event.self, capacity: 1).pointee.type = state.events.removeFirst()
      return 0
    case mpifs_VIDIOC_QUERY_EXT_CTRL:
      let out = argument.bindMemory(to: v4l2_query_ext_ctrl.self, capacity: 1)
      guard out.pointee.id == 0x0098_0927, switches.needed != nil else { return -EINVAL }
      (out.pointee.type, out.pointee.maximum, out.pointee.elems) = (1, 32, 1)
      return 0
    case mpifs_VIDIOC_G_EXT_CTRLS:
      let list = argument.bindMemory(to: v4l2_ext_controls.self, capacity: 1)
      list.pointee.controls?.pointee.value = Int32(switches.needed ?? 0)
      return 0
    case mpifs_VIDIOC_G_SELECTION:
      if let errno = switches.composeErrno { return -errno }
      let out = argument.bindMemory(to: v4l2_selection.self, capacity: 1)
      out.pointee.r = v4l2_rect(left: 0, top: 0, width: state.size.0, height: state.size.1)
      return 0
    case mpifs_VIDIOC_S_FMT, mpifs_VIDIOC_G_FMT:
      return format(argument.bindMemory(to: v4l2_format.self, capacity: 1), request == mpifs_VIDIOC_S_FMT, &state)
    case mpifs_VIDIOC_DECODER_CMD:
      guard switches.hasCommands else { return -ENOTTY }
      let command = argument.bindMemory(to: v4l2_decoder_cmd.self, capacity: 1).pointee.cmd
      state.commands.append(command)
      if command == 0 {
        if !switches.startIsDeaf { (state.isStopping, state.hasEnded, state.isChanging) = (false, false, false) }
      } else if state.capture.isStreaming && state.output.isStreaming {
        if state.isStopping { return -EBUSY }
        state.isStopping = true
      }
      work(&state)
      return 0
    default: return buffers(request, argument, &state)
    }
  }

  private func format(_ out: UnsafeMutablePointer<v4l2_format>, _ sets: Bool, _ state: inout State) -> CInt {
    var format = mpifs_format()
    mpifs_format_from_kernel(out, &format)
    format.num_planes = 1
    if out.pointee.type == 2 {
      guard state.output.count == 0, state.capture.count == 0 else { return -EBUSY }
      let asked = mpifs_format_plane(&format, 0).sizeimage
      state.unitFormats.append((format.width, format.height))
      format.pixelformat = state.switches.isVP8 ? mpifs_V4L2_PIX_FMT_VP8 : mpifs_V4L2_PIX_FMT_FWHT
      mpifs_format_set_plane(
        &format, 0, .init(bytesperline: 0, sizeimage: min(max(asked, 64), state.switches.unitSize)))
      state.output.format = format
    } else {
      guard !sets || state.capture.count == 0 else { return -EBUSY }
      if sets, state.switches.isSilent || !state.switches.hasEvents { state.size = (format.width, format.height) }
      if !sets || !state.switches.raw.contains(format.pixelformat) {
        format.pixelformat =
          sets || state.capture.format.pixelformat == 0
          ? state.switches.raw[0] : state.capture.format.pixelformat
      }
      let block = UInt32(state.switches.lineBlock)
      let (w, h) = (max(16, state.size.0), (max(16, state.size.1) + block - 1) / block * block)
      (format.width, format.height) = (w, h)
      mpifs_format_set_plane(&format, 0, .init(bytesperline: w, sizeimage: w * h * 3 / 2))
      state.capture.format = format
    }
    mpifs_format_to_kernel(&format, out)
    return 0
  }

  private func buffers(_ request: UInt, _ argument: UnsafeMutableRawPointer, _ state: inout State) -> CInt {
    switch request {
    case mpifs_VIDIOC_REQBUFS:
      let out = argument.bindMemory(to: v4l2_requestbuffers.self, capacity: 1)
      let isCapture = out.pointee.type == 1
      let count = Int(out.pointee.count)
      if isCapture {
        guard !state.capture.isStreaming, count > 0 || !state.switches.freesNothing else { return -EBUSY }
        for memory in state.memories { _ = inner.close(memory) }
        let size = Int(mpifs_format_plane(&state.capture.format, 0).sizeimage)
        state.memories = out.pointee.memory == 1 ? (0..<count).map { _ in anonymous(size) } : []
        state.imports = [:]
        state.capture.count = min(count, state.switches.most)
        out.pointee.count = UInt32(state.capture.count)
        (state.capture.memory, state.capture.queued, state.capture.done) = (out.pointee.memory, [], [])
      } else {
        (state.output.count, state.output.queued, state.output.done) = (count, [], [])
      }
      return 0
    case mpifs_VIDIOC_QUERYBUF:
      let out = argument.bindMemory(to: v4l2_buffer.self, capacity: 1)
      out.pointee.length = mpifs_format_plane(&state.output.format, 0).sizeimage
      out.pointee.m.offset = out.pointee.index * 0x0100_0000
      return 0
    case mpifs_VIDIOC_EXPBUF:
      if let errno = state.switches.exportErrno { return -errno }
      let out = argument.bindMemory(to: v4l2_exportbuffer.self, capacity: 1)
      state.exports += 1
      out.pointee.fd = inner.duplicate(state.memories[Int(out.pointee.index)])
      return 0
    case mpifs_VIDIOC_QBUF: return enqueue(argument.bindMemory(to: v4l2_buffer.self, capacity: 1), &state)
    case mpifs_VIDIOC_DQBUF: return dequeue(argument.bindMemory(to: v4l2_buffer.self, capacity: 1), &state)
    case mpifs_VIDIOC_STREAMON, mpifs_VIDIOC_STREAMOFF:
      stream(argument.bindMemory(to: CInt.self, capacity: 1).pointee == 1, request == mpifs_VIDIOC_STREAMON, &state)
      return 0
    default: return -ENOTTY
    }
  }

  private func stream(_ isCapture: Bool, _ isOn: Bool, _ state: inout State) {
    if isCapture {
      state.capture.isStreaming = isOn
      if isOn {
        state.isChanging = false
      } else {
        (state.capture.queued, state.capture.done) = ([], [])
        (state.isStopping, state.hasEnded) = (false, false)
      }
    } else {
      state.output.isStreaming = isOn
      if !isOn { (state.output.queued, state.output.done, state.pending) = ([], [], []) }
    }
    work(&state)
  }

  private func enqueue(_ argument: UnsafeMutablePointer<v4l2_buffer>, _ state: inout State) -> CInt {
    var buffer = mpifs_buffer()
    mpifs_buffer_from_kernel(argument, &buffer)
    let isCapture = buffer.type == 1
    let queue = isCapture ? state.capture : state.output
    guard Int(buffer.index) < queue.count, !queue.queued.contains(where: { $0.index == buffer.index }),
      !queue.done.contains(where: { $0.index == buffer.index })
    else { return -EINVAL }
    if buffer.memory == 4 {
      if let errno = state.switches.importErrno { return -errno }
      state.imports[buffer.index, default: []].insert(mpifs_buffer_plane(&buffer, 0).fd)
    }
    if isCapture { state.capture.queued.append(buffer) } else { state.output.queued.append(buffer) }
    work(&state)
    return 0
  }

  private func dequeue(_ argument: UnsafeMutablePointer<v4l2_buffer>, _ state: inout State) -> CInt {
    let isCapture = argument.pointee.type == 1
    let queue = isCapture ? state.capture : state.output
    guard queue.isStreaming else { return -EINVAL }
    guard var done = queue.done.first else { return isCapture && state.hasEnded ? -EPIPE : -EAGAIN }
    if isCapture { state.capture.done.removeFirst() } else { state.output.done.removeFirst() }
    mpifs_buffer_to_kernel(&done, argument, nil)
    return 0
  }

  // MARK: decoding

  private func bytes(_ buffer: mpifs_buffer, _ state: State) -> UnsafeRawPointer? {
    state.maps[Int64(buffer.index) * 0x0100_0000].flatMap { UnsafeRawPointer(bitPattern: Int($0)) }
  }

  private func isShown(_ buffer: mpifs_buffer, _ state: State) -> Bool {
    bytes(buffer, state).map { $0.load(as: UInt8.self) & 0x10 != 0 } ?? false
  }

  private func words(_ buffer: mpifs_buffer, _ state: State) -> [UInt32] {
    guard var bytes = bytes(buffer, state) else { return [] }
    if state.switches.isVP8 { bytes += 12 }
    return (0..<11).map { UInt32(bigEndian: bytes.load(fromByteOffset: $0 * 4, as: UInt32.self)) }
  }

  private func work(_ state: inout State) {
    guard !state.switches.hangs, state.output.isStreaming else { return }
    while let unit = state.output.queued.first, !state.isChanging, !state.switches.readsNothing {
      let header = words(unit, state)
      if header[0] != 0x4f4f_4f4f {
        finishUnit(&state, isDamaged: true)
        continue
      }
      let isSaid = state.switches.hasEvents && !state.switches.isSilent
      let isOther = (header[3], header[4]) != state.size || state.switches.changesReferences
      if isOther, isSaid || state.capture.isStreaming {
        // All pictures of the old size first.
        while !state.pending.isEmpty {
          guard give(&state) else { return }
        }
        if state.capture.isStreaming { guard end(&state) else { return } }
        state.size = (header[3], header[4])
        state.switches.changesReferences = false
        state.isChanging = true
        state.events.append(5)
        return
      }
      guard state.capture.isStreaming, state.output.queued.count > state.switches.lookAhead || state.isStopping else {
        return
      }
      if !state.switches.isVP8 || isShown(unit, state) {
        state.pending.append(Picture(order: header[10], stamp: (unit.tv_sec, unit.tv_usec)))
      }
      finishUnit(&state, isDamaged: false)
      while state.pending.count > state.switches.reorder {
        guard give(&state) else { return }
      }
    }
    guard state.isStopping, !state.isChanging, !state.hasEnded else { return }
    while !state.pending.isEmpty {
      let isLast = state.pending.count == 1 && state.switches.lastIsPicture
      guard give(&state, isLast: isLast) else { return }
      if isLast { return }
    }
    _ = end(&state)
  }

  private func finishUnit(_ state: inout State, isDamaged: Bool) {
    var unit = state.output.queued.removeFirst()
    unit.flags = isDamaged ? BufferFlags.error.rawValue : 0
    state.output.done.append(unit)
  }

  /// The picture shown first comes out. - Returns: whether there was a buffer for it.
  private func give(_ state: inout State, isLast: Bool = false) -> Bool {
    guard !state.capture.queued.isEmpty,
      let position = state.pending.indices.min(by: { state.pending[$0].order < state.pending[$1].order })
    else { return false }
    let picture = state.pending.remove(at: position)
    var to = state.capture.queued.removeFirst()
    var value = UInt8(truncatingIfNeeded: picture.order)
    let memory = to.memory == 1 ? state.memories[Int(to.index)] : mpifs_buffer_plane(&to, 0).fd
    _ = pwrite(memory, &value, 1, 0)
    to.num_planes = 1
    to.flags = state.switches.damages.contains(picture.order) ? BufferFlags.error.rawValue : 0
    if isLast {
      to.flags |= BufferFlags.last.rawValue
      state.hasEnded = true
    }
    (to.tv_sec, to.tv_usec) = state.switches.keepsTime ? picture.stamp : (0, 0)
    let size = mpifs_format_plane(&state.capture.format, 0).sizeimage
    mpifs_buffer_set_plane(&to, 0, .init(bytesused: size, length: size, data_offset: 0, mem_offset: 0, fd: -1))
    state.capture.done.append(to)
    return true
  }

  /// An empty buffer marked LAST, with the time of another picture, or nothing but EPIPE.
  private func end(_ state: inout State) -> Bool {
    if state.switches.hasLast {
      guard !state.capture.queued.isEmpty else { return false }
      var last = state.capture.queued.removeFirst()
      (last.num_planes, last.flags) = (1, BufferFlags.last.rawValue)
      (last.tv_sec, last.tv_usec) = (0, 1)
      mpifs_buffer_set_plane(&last, 0, .init(bytesused: 0, length: 16, data_offset: 0, mem_offset: 0, fd: -1))
      state.capture.done.append(last)
    }
    state.hasEnded = true
    return true
  }
}

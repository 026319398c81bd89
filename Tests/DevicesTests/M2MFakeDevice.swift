// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxMedia
import Synchronization
import TestSupport

/// A memory-to-memory driver behind the kernel's door: every open of its node is an instance with its own formats,
/// queues and controls. It "codes" a picture as soon as both queues have a buffer; what real drivers do differently is a
/// switch.
final class M2MFakeDevice: Kernel {
  private struct Instance {
    var formats: [mpifs_format] = [mpifs_format(), mpifs_format()]
    var counts = [0, 0]
    var memory: [UInt32] = [1, 1]
    var queued: [[mpifs_buffer]] = [[], []]
    var done: [[mpifs_buffer]] = [[], []]
    var streaming = [false, false]
    var values: [UInt32: Int64] = [:]
    var maps: [Int64: Int64] = [:]
    var isStopping = false
    var hasEnded = false
    var pictures: UInt8 = 0
    var coded = 0
  }

  private struct State {
    var switches: Switches
    var instances: [CInt: Instance] = [:]
    var opened = 0
    var imports: [Int32] = []
    var set: [UInt32: [Int64]] = [:]
    var mapped: [Int: CInt] = [:]
    var closedWhileMapped = 0
    var isWaitedFor = false
  }

  private let state: Mutex<State>
  private let real = LinuxKernel()
  private let isScaler: Bool

  init(scaler: Bool = false, _ change: (inout Switches) -> Void = { _ in }) {
    var switches = Switches()
    if scaler { switches.coded = [mpifs_V4L2_PIX_FMT_YUYV] }
    change(&switches)
    isScaler = scaler
    state = Mutex(State(switches: switches))
  }

  func change(_ body: (inout Switches) -> Void) { state.withLock { body(&$0.switches) } }
  /// Values a control was given, in order, by all instances.
  func written(_ id: UInt32) -> [Int64] { state.withLock { $0.set[id] ?? [] } }
  /// Instances that were closed with memory of theirs still mapped.
  var closedWhileMapped: Int { state.withLock { $0.closedWhileMapped } }
  var imports: [Int32] { state.withLock { $0.imports } }
  var opened: Int { state.withLock { $0.opened } }
  var open: Int { state.withLock { $0.instances.count } }
  /// Somebody has waited for it, or waits.
  var isWaitedFor: Bool { state.withLock { $0.isWaitedFor } }
  /// Buffers that wait in the OUTPUT queues.
  var waiting: Int { state.withLock { $0.instances.values.reduce(0) { $0 + $1.queued[1].count } } }

  /// Codes at most so many pictures in each instance.
  func code(_ pictures: Int) {
    state.withLock { state in
      for fd in state.instances.keys {
        guard var instance = state.instances[fd] else { continue }
        work(&instance, state.switches, atMost: pictures)
        state.instances[fd] = instance
      }
    }
  }

  /// Takes in one frame of each instance and makes no picture of it, as rate controls do.
  func leaveOut() {
    state.withLock { state in
      for fd in state.instances.keys {
        guard var instance = state.instances[fd], !instance.queued[1].isEmpty else { continue }
        instance.done[1].append(instance.queued[1].removeFirst())
        state.instances[fd] = instance
      }
    }
  }

  // MARK: the door

  func open(_ path: String, _ flags: CInt) -> CInt {
    guard path.hasPrefix("/dev/video") else { return real.open(path, flags) }
    return state.withLock { state in
      let fd = real.eventfd()
      var instance = Instance()
      for (id, control) in state.switches.controls { instance.values[id] = control.usual }
      state.instances[fd] = instance
      state.opened += 1
      return fd
    }
  }

  func close(_ fd: CInt) -> CInt {
    if state.withLock({ $0.instances[fd] != nil }) {
      while state.withLock({ $0.switches.hangs }) { usleep(1000) }
      state.withLock { state in
        if state.mapped.values.contains(fd) { state.closedWhileMapped += 1 }
        state.instances[fd] = nil
      }
    }
    return real.close(fd)
  }

  func mmap(_ length: Int, _ protection: CInt, _ fd: CInt, _ offset: Int64) -> Int64 {
    guard state.withLock({ $0.instances[fd] != nil }) else { return real.mmap(length, protection, fd, offset) }
    guard let address = Glibc.mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) else {
      return -Int64(ENOMEM)
    }
    let number = Int64(Int(bitPattern: address))
    state.withLock { state in
      state.instances[fd]?.maps[offset] = number
      state.mapped[Int(number)] = fd
    }
    return number
  }

  func poll(_ descriptors: UnsafeMutableBufferPointer<pollfd>, _ timeout: CInt) -> CInt {
    let others = UnsafeMutableBufferPointer(rebasing: descriptors.dropFirst())
    let end = ContinuousClock.now + .seconds(patience)
    var passed: CInt = 0
    while true {
      guard let events = events(of: descriptors[0]) else { return real.poll(descriptors, timeout) }
      descriptors[0].revents = events
      let ready = (events == 0 ? 0 : 1) + (others.isEmpty ? 0 : real.poll(others, 0))
      if ready != 0 { return ready }
      let isWorkedOn = state.withLock { state in
        state.isWaitedFor = true
        return state.switches.isWorkedOn
      }
      if !isWorkedOn || ContinuousClock.now > end {
        guard passed < timeout else { return 0 }
        passed += 1
      }
      usleep(1000)
    }
  }

  /// `nil` for descriptors that are none of a node.
  private func events(of entry: pollfd) -> Int16? {
    state.withLock { state -> Int16? in
      guard let instance = state.instances[entry.fd] else { return nil }
      var events: Int16 = 0
      if !instance.done[0].isEmpty || instance.hasEnded || state.switches.failsDequeue != nil {
        events |= Int16(POLLIN)
      }
      if !instance.done[1].isEmpty { events |= Int16(POLLOUT) }
      return events & entry.events
    }
  }

  func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    state.withLock { state in
      guard var instance = state.instances[fd], let argument else { return real.ioctl(fd, request, argument) }
      let result = answer(request, argument, &instance, &state)
      state.instances[fd] = instance
      return result
    }
  }

  /// CAPTURE is 0, OUTPUT 1.
  private func queue(_ type: UInt32) -> Int? { type == 1 ? 0 : type == 2 ? 1 : nil }

  private func answer(
    _ request: UInt, _ argument: UnsafeMutableRawPointer, _ instance: inout Instance, _ state: inout State
  ) -> CInt {
    let switches = state.switches
    switch request {
    case mpifs_VIDIOC_QUERYCAP:
      let out = argument.bindMemory(to: v4l2_capability.self, capacity: 1)
      out.pointee.capabilities = 0x8000_0000
      out.pointee.device_caps = 0x8000 | 0x0400_0000
      out.pointee.version = 0x06_0c_75
      withUnsafeMutableBytes(of: &out.pointee.driver) { $0.copyBytes(from: switches.driver.utf8) }
      withUnsafeMutableBytes(of: &out.pointee.card) { $0.copyBytes(from: "Fake".utf8) }
      return 0
    case mpifs_VIDIOC_ENUM_FMT:
      let out = argument.bindMemory(to: v4l2_fmtdesc.self, capacity: 1)
      let list = out.pointee.type == 1 ? switches.coded : switches.raw
      guard queue(out.pointee.type) != nil, Int(out.pointee.index) < list.count else { return -EINVAL }
      out.pointee.pixelformat = list[Int(out.pointee.index)]
      out.pointee.flags = out.pointee.type == 1 && !isScaler ? 1 : 0
      return 0
    case mpifs_VIDIOC_ENUM_FRAMESIZES:
      let out = argument.bindMemory(to: v4l2_frmsizeenum.self, capacity: 1)
      guard out.pointee.index == 0, isScaler else { return -EINVAL }
      out.pointee.type = UInt32(V4L2_FRMSIZE_TYPE_STEPWISE.rawValue)
      out.pointee.stepwise = v4l2_frmsize_stepwise(
        min_width: 32, max_width: 640, step_width: 8, min_height: 32, max_height: 480, step_height: 8)
      return 0
    case mpifs_VIDIOC_S_FMT:
      return setFormat(argument.bindMemory(to: v4l2_format.self, capacity: 1), &instance, switches)
    case mpifs_VIDIOC_S_PARM: return 0
    case mpifs_VIDIOC_S_SELECTION, mpifs_VIDIOC_G_SELECTION: return switches.hasSelection ? 0 : -ENOTTY
    case mpifs_VIDIOC_QUERY_EXT_CTRL: return describe(argument, switches)
    case mpifs_VIDIOC_QUERYMENU:
      let out = argument.bindMemory(to: v4l2_querymenu.self, capacity: 1)
      guard let menu = switches.controls[out.pointee.id]?.menu, Int(out.pointee.index) < menu.count else {
        return -EINVAL
      }
      withUnsafeMutableBytes(of: &out.pointee) { bytes in
        // struct v4l2_querymenu: id, index, name[32]
        UnsafeMutableRawBufferPointer(rebasing: bytes[8..<40]).copyBytes(from: menu[Int(out.pointee.index)].utf8)
      }
      return 0
    case mpifs_VIDIOC_S_EXT_CTRLS, mpifs_VIDIOC_G_EXT_CTRLS:
      let list = argument.bindMemory(to: v4l2_ext_controls.self, capacity: 1)
      guard let control = list.pointee.controls, let known = switches.controls[control.pointee.id] else {
        return -EINVAL
      }
      let id = control.pointee.id
      if request == mpifs_VIDIOC_S_EXT_CTRLS {
        if switches.grabsControls && instance.streaming[0] { return -EBUSY }
        if let errno = switches.refused[id] { return -errno }
        let value = min(max(mpifs_control_value(control, 0), known.minimum), known.maximum)
        instance.values[id] = value
        state.set[id, default: []].append(value)
      }
      control.pointee.value = Int32(truncatingIfNeeded: instance.values[id] ?? 0)
      return 0
    case mpifs_VIDIOC_ENCODER_CMD:
      guard switches.hasCommands else { return -ENOTTY }
      if instance.streaming == [true, true] {
        instance.isStopping = true
        work(&instance, switches)
      }
      return 0
    default: return buffers(request, argument, &instance, &state)
    }
  }

  private func describe(_ argument: UnsafeMutableRawPointer, _ switches: Switches) -> CInt {
    let out = argument.bindMemory(to: v4l2_query_ext_ctrl.self, capacity: 1)
    guard let control = switches.controls[out.pointee.id] else { return -EINVAL }
    out.pointee.type = control.type
    out.pointee.minimum = control.minimum
    out.pointee.maximum = control.menu.isEmpty ? control.maximum : Int64(control.menu.count - 1)
    out.pointee.step = 1
    out.pointee.default_value = control.usual
    out.pointee.elems = 1
    return 0
  }

  private func setFormat(
    _ out: UnsafeMutablePointer<v4l2_format>, _ instance: inout Instance, _ switches: Switches
  ) -> CInt {
    guard let queue = queue(out.pointee.type) else { return -EINVAL }
    guard instance.counts[queue] == 0 else { return -EBUSY }
    var format = mpifs_format()
    mpifs_format_from_kernel(out, &format)
    let list = queue == 0 ? switches.coded : switches.raw
    if !list.contains(format.pixelformat) { format.pixelformat = list[0] }
    format.num_planes = 1
    let isRaw = queue == 1 || isScaler
    if isRaw { format.height = (format.height + switches.lineBlock - 1) / switches.lineBlock * switches.lineBlock }
    let (w, h) = (format.width, format.height)
    let plane: mpifs_plane_format =
      switch format.pixelformat {
      case mpifs_V4L2_PIX_FMT_YUYV: .init(bytesperline: w * 2, sizeimage: w * h * 2)
      case mpifs_V4L2_PIX_FMT_RGB24: .init(bytesperline: w * 3, sizeimage: w * h * 3)
      case mpifs_V4L2_PIX_FMT_NV12, mpifs_V4L2_PIX_FMT_YUV420: .init(bytesperline: w, sizeimage: w * h * 3 / 2)
      default: .init(bytesperline: 0, sizeimage: 65536)
      }
    mpifs_format_set_plane(&format, 0, plane)
    instance.formats[queue] = format
    mpifs_format_to_kernel(&format, out)
    return 0
  }

  private func buffers(
    _ request: UInt, _ argument: UnsafeMutableRawPointer, _ instance: inout Instance, _ state: inout State
  ) -> CInt {
    let switches = state.switches
    switch request {
    case mpifs_VIDIOC_REQBUFS:
      let out = argument.bindMemory(to: v4l2_requestbuffers.self, capacity: 1)
      guard let queue = queue(out.pointee.type), !instance.streaming[queue] else { return -EBUSY }
      if out.pointee.count == 0, switches.refusesRelease {
        state.switches.refusesRelease = false
        return -EBUSY
      }
      instance.counts[queue] = Int(out.pointee.count)
      instance.memory[queue] = out.pointee.memory
      (instance.queued[queue], instance.done[queue]) = ([], [])
      out.pointee.capabilities = 0b10101
      return 0
    case mpifs_VIDIOC_QUERYBUF:
      let out = argument.bindMemory(to: v4l2_buffer.self, capacity: 1)
      guard let queue = queue(out.pointee.type) else { return -EINVAL }
      out.pointee.length = mpifs_format_plane(&instance.formats[queue], 0).sizeimage
      // CAPTURE above 1 GiB, as v4l2-mem2mem has it.
      out.pointee.m.offset = (queue == 0 ? 0x4000_0000 : 0) + out.pointee.index * 0x0100_0000
      return 0
    case mpifs_VIDIOC_QBUF:
      var buffer = mpifs_buffer()
      mpifs_buffer_from_kernel(argument.bindMemory(to: v4l2_buffer.self, capacity: 1), &buffer)
      guard let queue = queue(buffer.type), Int(buffer.index) < instance.counts[queue],
        !instance.queued[queue].contains(where: { $0.index == buffer.index })
      else { return -EINVAL }
      if buffer.memory == 4 {
        if let errno = switches.importErrno { return -errno }
        state.imports.append(mpifs_buffer_plane(&buffer, 0).fd)
      }
      instance.queued[queue].append(buffer)
      work(&instance, switches)
      return 0
    case mpifs_VIDIOC_DQBUF:
      if let errno = switches.failsDequeue {
        state.switches.failsDequeue = nil
        return -errno
      }
      let out = argument.bindMemory(to: v4l2_buffer.self, capacity: 1)
      guard let queue = queue(out.pointee.type), instance.streaming[queue] else { return -EINVAL }
      guard !instance.done[queue].isEmpty else { return queue == 0 && instance.hasEnded ? -EPIPE : -EAGAIN }
      var done = instance.done[queue].removeFirst()
      if done.flags & BufferFlags.error.rawValue != 0 { state.switches.damagesNext = false }
      mpifs_buffer_to_kernel(&done, out, nil)
      return 0
    case mpifs_VIDIOC_STREAMON, mpifs_VIDIOC_STREAMOFF:
      let type = argument.bindMemory(to: CInt.self, capacity: 1).pointee
      guard let queue = queue(UInt32(type)) else { return -EINVAL }
      instance.streaming[queue] = request == mpifs_VIDIOC_STREAMON
      if !instance.streaming[queue] {
        (instance.queued[queue], instance.done[queue]) = ([], [])
        (instance.isStopping, instance.hasEnded) = (false, false)
      } else {
        work(&instance, switches)
      }
      return 0
    default: return -ENOTTY
    }
  }

  /// Codes what it can.
  private func work(_ instance: inout Instance, _ switches: Switches, atMost limit: Int? = nil) {
    guard instance.streaming == [true, true], !switches.hangs else { return }
    var left = limit ?? (switches.isManual ? 0 : .max)
    while left > 0, !instance.queued[0].isEmpty, !instance.queued[1].isEmpty {
      left -= 1
      var from = instance.queued[1].removeFirst()
      if switches.damagesNext, switches.damagesFrameOnly {
        from.flags = BufferFlags.error.rawValue
        instance.done[1].append(from)
        continue
      }
      var to = instance.queued[0].removeFirst()
      instance.done[1].append(from)
      instance.pictures &+= 1
      let isEmpty = switches.damagesNext && switches.damagedIsEmpty
      let content = isEmpty ? nil : switches.picture?(instance.coded)
      let count =
        content?.count
        ?? (isScaler
          ? Int(mpifs_format_plane(&instance.formats[0], 0).sizeimage)
          : isEmpty ? 0 : min(switches.size(instance.coded, instance.values), 65536))
      instance.coded += 1
      to.num_planes = 1
      to.flags = switches.damagesNext ? BufferFlags.error.rawValue : 0
      if switches.keepsTime {
        (to.tv_sec, to.tv_usec) = (from.tv_sec, from.tv_usec)
      } else {
        (to.tv_sec, to.tv_usec) = (0, 0)
      }
      let offset = 0x4000_0000 + Int64(to.index) * 0x0100_0000
      if to.memory == 1, let number = instance.maps[offset],
        let address = UnsafeMutableRawPointer(bitPattern: Int(number))
      {
        memset(address, CInt(instance.pictures), count)
        content?.withUnsafeBytes { UnsafeMutableRawBufferPointer(start: address, count: count).copyMemory(from: $0) }
      }
      mpifs_buffer_set_plane(
        &to, 0,
        mpifs_plane(
          bytesused: UInt32(count), length: mpifs_format_plane(&instance.formats[0], 0).sizeimage, data_offset: 0,
          mem_offset: 0, fd: -1))
      instance.done[0].append(to)
    }
    // An empty buffer marked LAST, with the time of another picture.
    if instance.isStopping, instance.queued[1].isEmpty, !instance.queued[0].isEmpty, !instance.hasEnded {
      var last = instance.queued[0].removeFirst()
      last.num_planes = 1
      last.flags = BufferFlags.last.rawValue
      (last.tv_sec, last.tv_usec) = (0, 1)
      mpifs_buffer_set_plane(&last, 0, mpifs_plane(bytesused: 0, length: 65536, data_offset: 0, mem_offset: 0, fd: -1))
      instance.done[0].append(last)
      instance.hasEnded = true
    }
  }

  func munmap(_ address: UnsafeMutableRawPointer, _ length: Int) -> CInt {
    state.withLock { $0.mapped[Int(bitPattern: address)] = nil }
    return real.munmap(address, length)
  }
  func memfd(_ name: String) -> CInt { real.memfd(name) }
  func truncate(_ fd: CInt, _ length: Int64) -> CInt { real.truncate(fd, length) }
  func addSeals(_ fd: CInt, _ seals: CInt) -> CInt { real.addSeals(fd, seals) }
  func duplicate(_ fd: CInt) -> CInt { real.duplicate(fd) }
  func eventfd() -> CInt { real.eventfd() }
  func seekEnd(_ fd: CInt) -> Int64 { real.seekEnd(fd) }
  func status(_ fd: CInt, _ out: UnsafeMutablePointer<stat>) -> CInt { real.status(fd, out) }
  func read(_ fd: CInt, _ bytes: UnsafeMutableRawBufferPointer) -> Int64 { real.read(fd, bytes) }
  func write(_ fd: CInt, _ bytes: UnsafeRawBufferPointer) -> Int64 { real.write(fd, bytes) }
}

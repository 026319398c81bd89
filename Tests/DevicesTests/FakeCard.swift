// SPDX-License-Identifier: Apache-2.0
import CDRM
import CLinux
import Glibc
import LinuxMedia
import Synchronization

/// A DRM card behind the kernel's door: one connector, one CRTC, a primary and an overlay plane that take XRGB8888 and
/// scale nothing. Flips happen at once unless they are held back. With a second connector there is a CRTC and a primary
/// plane more, and every plane can be shown on both, as on Qualcomm's.
final class FakeCard: KernelWrapper {
  struct State {
    var isPresent = true
    var isConnected = true
    /// Connectors without a monitor beside those that have one.
    var unplugged: Set<UInt32> = []
    /// Another program may set modes.
    var isTaken = false
    /// Flips do not happen.
    var isStuck = false
    /// So many reads find nothing yet, although the wait has ended.
    var lateReads = 0
    /// Asking a monitor takes until this is false again; whether somebody waits for that.
    var holdsProbes = false
    var isProbing = false
    /// Taking framebuffers away takes until this is false again; whether somebody waits for that.
    var holdsRemovals = false
    var isRemoving = false
    /// Becoming the master is refused so many times, as while another program looks at the card.
    var refusedMasters = 0
    /// Nobody has asked for the monitor since the start of the machine.
    var isUnasked = false
    /// How often the master asked for a connector.
    var askedAsMaster = 0
    /// Threads that wait for the card's events.
    var polls = 0
    /// What commits other than tests are refused with, and how often.
    var refusal: (errno: CInt, times: Int) = (0, 0)
    var opened = 0
    var files: Set<CInt> = []
    var master: CInt?
    var values: [UInt32: [UInt32: UInt64]] = [:]
    var blobs: [UInt32: [UInt8]] = [:]
    var framebuffers: Set<UInt32> = []
    var handles: [UInt32: UInt64] = [:]
    var doubleCloses = 0
    var dumb: [UInt32: CInt] = [:]
    var next: UInt32 = 1000
    var waiting: [(file: CInt, userData: UInt64)] = []
    var sequence: UInt32 = 100
    var flips = 0
  }

  static let path = "/dev/dri/card77"
  static let connector: UInt32 = 10
  static let secondConnector: UInt32 = 12
  static let crtc: UInt32 = 20
  static let secondCRTC: UInt32 = 21
  static let primary: UInt32 = 30
  static let overlay: UInt32 = 31
  static let secondPrimary: UInt32 = 32
  fileprivate static let names = [
    "type", "FB_ID", "CRTC_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H", "MODE_ID",
    "ACTIVE",
  ]

  private let state = Mutex(State())
  private let real = LinuxKernel()
  var inner: any Kernel { real }
  private let modes: [drm_mode_modeinfo]
  let connectors: [UInt32]
  let crtcs: [UInt32]
  let planes: [UInt32]

  init(screens: Int = 1) {
    connectors = Array([FakeCard.connector, FakeCard.secondConnector].prefix(screens))
    crtcs = Array([FakeCard.crtc, FakeCard.secondCRTC].prefix(screens))
    planes = Array([FakeCard.primary, FakeCard.overlay, FakeCard.secondPrimary].prefix(1 + screens))
    modes = [FakeCard.mode(640, 480, preferred: true), FakeCard.mode(320, 240, preferred: false)]
    with { state in
      for plane in planes {
        state.values[plane] = Dictionary(uniqueKeysWithValues: FakeCard.names.prefix(11).map { (Self.id($0), 0) })
        state.values[plane]?[Self.id("type")] = plane == FakeCard.overlay ? 0 : 1
      }
      for crtc in crtcs { state.values[crtc] = [Self.id("MODE_ID"): 0, Self.id("ACTIVE"): 0] }
      for connector in connectors { state.values[connector] = [Self.id("CRTC_ID"): 0] }
    }
  }

  private static func mode(_ width: UInt16, _ height: UInt16, preferred: Bool) -> drm_mode_modeinfo {
    var mode = drm_mode_modeinfo()
    (mode.hdisplay, mode.htotal, mode.vdisplay, mode.vtotal) = (width, width, height, height)
    mode.clock = UInt32(width) * UInt32(height) * 60 / 1000
    mode.type = preferred ? UInt32(DRM_MODE_TYPE_PREFERRED) : 0
    return mode
  }

  static func id(_ name: String) -> UInt32 { UInt32(100 + (names.firstIndex(of: name) ?? 90)) }
  func with<Result>(_ body: (inout State) -> Result) -> Result { state.withLock { body(&$0) } }

  /// What a console has left on the first CRTC: a mode of its own, and its picture of 640x480 on these planes.
  func showConsole(on planes: UInt32...) {
    with { state in
      state.framebuffers.insert(5)
      state.blobs[7] = [UInt8](repeating: 3, count: 68)
      state.values[FakeCard.crtc] = [FakeCard.id("MODE_ID"): 7, FakeCard.id("ACTIVE"): 1]
      state.values[FakeCard.connector] = [FakeCard.id("CRTC_ID"): UInt64(FakeCard.crtc)]
      let shown: [(String, UInt64)] = [
        ("FB_ID", 5), ("CRTC_ID", UInt64(FakeCard.crtc)), ("SRC_W", 640 << 16), ("SRC_H", 480 << 16), ("CRTC_W", 640),
        ("CRTC_H", 480),
      ]
      for plane in planes {
        for (name, value) in shown { state.values[plane]?[FakeCard.id(name)] = value }
      }
    }
  }

  /// A property's value now.
  func value(_ object: UInt32, _ name: String) -> UInt64 { with { $0.values[object]?[Self.id(name)] ?? 0 } }

  // MARK: the door

  func open(_ path: String, _ flags: CInt) -> CInt {
    guard path.hasSuffix("/dri/card77") else { return real.open(path, flags) }
    return with { state in
      guard state.isPresent else { return -ENODEV }
      let fd = real.eventfd()
      state.files.insert(fd)
      state.opened += 1
      if state.master == nil, !state.isTaken, state.refusedMasters == 0 { state.master = fd }
      return fd
    }
  }

  func close(_ fd: CInt) -> CInt {
    with { state in
      guard state.files.remove(fd) != nil else { return }
      if state.master == fd { state.master = nil }
      state.waiting.removeAll { $0.file == fd }
      // The kernel takes back what was made through the file.
      state.framebuffers = []
      state.handles = [:]
    }
    return real.close(fd)
  }

  func read(_ fd: CInt, _ bytes: UnsafeMutableRawBufferPointer) -> Int64 {
    let isLate = with { state in
      guard state.files.contains(fd), state.lateReads > 0 else { return false }
      // Those before the commit do not count.
      if !state.waiting.isEmpty { state.lateReads -= 1 }
      return !state.waiting.isEmpty
    }
    if isLate { return -Int64(EAGAIN) }
    let event: drm_event_vblank?? = with { state in
      guard state.files.contains(fd) else { return .none }
      guard !state.isStuck, let index = state.waiting.firstIndex(where: { $0.file == fd }) else { return .some(nil) }
      var event = drm_event_vblank()
      event.base = drm_event(type: UInt32(DRM_EVENT_FLIP_COMPLETE), length: 32)
      event.user_data = state.waiting.remove(at: index).userData
      state.sequence += 1
      event.sequence = state.sequence
      state.flips += 1
      return event
    }
    guard let event else { return real.read(fd, bytes) }
    guard let event else {
      var counter: UInt64 = 0
      _ = withUnsafeMutableBytes(of: &counter) { real.read(fd, $0) }
      return -Int64(EAGAIN)
    }
    bytes.storeBytes(of: event, as: drm_event_vblank.self)
    return 32
  }

  func poll(_ descriptors: UnsafeMutableBufferPointer<pollfd>, _ timeoutMilliseconds: CInt) -> CInt {
    let isOurs = with { state in
      let isOurs = descriptors.contains { state.files.contains($0.fd) }
      if isOurs { state.polls += 1 }
      return isOurs
    }
    defer { if isOurs { with { $0.polls -= 1 } } }
    return real.poll(descriptors, timeoutMilliseconds)
  }

  /// Waits for the test to let go what takes long, outside the lock.
  func hold(_ isHeld: KeyPath<State, Bool>, _ isWaiting: WritableKeyPath<State, Bool>) {
    while with({ state in
      state[keyPath: isWaiting] = state[keyPath: isHeld]
      return state[keyPath: isHeld]
    }) {
      usleep(1000)
    }
  }

  /// Lets what was held back happen.
  func unstick() {
    let files = with { state in
      state.isStuck = false
      return state.files
    }
    for file in files { signal(file) }
  }

  private func signal(_ file: CInt) {
    var one: UInt64 = 1
    _ = withUnsafeBytes(of: &one) { real.write(file, $0) }
  }

  func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    guard let argument else { return -EFAULT }
    guard with({ $0.files.contains(fd) }) else {
      // Memory of the test's that pretends to be shared.
      if request == mpifs_DMA_BUF_IOCTL_SYNC || request == mpifs_DMA_BUF_SET_NAME_B { return 0 }
      return real.ioctl(fd, request, argument)
    }
    guard with({ $0.isPresent }) else { return -ENODEV }
    if request == mpifs_DRM_IOCTL_MODE_ATOMIC { return commit(fd, argument.load(as: drm_mode_atomic.self)) }
    return FakeCardQueries.answer(self, modes, fd, request, argument)
  }

  // MARK: commits

  private func commit(_ fd: CInt, _ request: drm_mode_atomic) -> CInt {
    func array<Element>(_ address: UInt64, _ type: Element.Type) -> UnsafePointer<Element>? {
      UnsafePointer(bitPattern: UInt(address))
    }
    guard let objects = array(request.objs_ptr, UInt32.self), let counts = array(request.count_props_ptr, UInt32.self),
      let properties = array(request.props_ptr, UInt32.self), let values = array(request.prop_values_ptr, UInt64.self)
    else { return -EFAULT }
    let isTest = request.flags & AtomicFlags.testOnly.rawValue != 0
    let result: CInt = with { state in
      guard state.master == fd else { return -EACCES }
      if !isTest, state.refusal.times > 0 {
        state.refusal.times -= 1
        if state.refusal.errno == EACCES { (state.master, state.isTaken) = (nil, true) }
        return -state.refusal.errno
      }
      if !isTest, request.flags & AtomicFlags.nonBlocking.rawValue != 0,
        state.waiting.contains(where: { $0.userData == request.user_data })
      {
        return -EBUSY
      }
      var new = state.values
      var place = 0
      for object in 0..<Int(request.count_objs) {
        for _ in 0..<Int(counts[object]) {
          guard new[objects[object]]?[properties[place]] != nil else { return -ENOENT }
          new[objects[object]]?[properties[place]] = values[place]
          place += 1
        }
      }
      for plane in planes {
        // The kernel moves no plane from one CRTC to another in one step.
        let (from, to) = (state.values[plane]?[Self.id("CRTC_ID")] ?? 0, new[plane]?[Self.id("CRTC_ID")] ?? 0)
        if from != 0, to != 0, from != to { return -EINVAL }
        guard let now = new[plane], let framebuffer = now[Self.id("FB_ID")], framebuffer != 0 else { continue }
        guard state.framebuffers.contains(UInt32(framebuffer)) else { return -ENOENT }
        if now[Self.id("SRC_W")] != (now[Self.id("CRTC_W")] ?? 0) << 16 { return -ERANGE }
      }
      if isTest { return 0 }
      state.values = new
      if request.flags & AtomicFlags.pageFlipEvent.rawValue != 0 { state.waiting.append((fd, request.user_data)) }
      return 0
    }
    if result == 0, !isTest { signal(fd) }
    return result
  }
}

/// What the fake card tells of itself, and what it keeps for whoever opened it.
enum FakeCardQueries {
  static func answer(
    _ card: FakeCard, _ modes: [drm_mode_modeinfo], _ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer
  ) -> CInt {
    switch request {
    case mpifs_DRM_IOCTL_VERSION:
      let version = argument.assumingMemoryBound(to: drm_version.self)
      let name = "fakedrm"
      if let text = version.pointee.name {
        for (index, byte) in name.utf8.prefix(Int(version.pointee.name_len)).enumerated() {
          text[index] = CChar(bitPattern: byte)
        }
      }
      version.pointee.name_len = UInt(name.utf8.count)
    case mpifs_DRM_IOCTL_GET_CAP:
      let capability = argument.assumingMemoryBound(to: drm_get_cap.self)
      capability.pointee.value = capability.pointee.capability == UInt64(DRM_CAP_PRIME) ? 3 : 0
    case mpifs_DRM_IOCTL_SET_CLIENT_CAP: return 0
    case mpifs_DRM_IOCTL_SET_MASTER:
      return card.with { state in
        if state.refusedMasters > 0 {
          state.refusedMasters -= 1
          return -EBUSY
        }
        if state.isTaken || (state.master != nil && state.master != fd) { return -EBUSY }
        state.master = fd
        return 0
      }
    case mpifs_DRM_IOCTL_DROP_MASTER:
      return card.with { state in
        guard state.master == fd else { return -EINVAL }
        state.master = nil
        return 0
      }
    case mpifs_DRM_IOCTL_MODE_GETRESOURCES:
      let list = argument.assumingMemoryBound(to: drm_mode_card_res.self)
      put(card.crtcs, list.pointee.crtc_id_ptr, &list.pointee.count_crtcs)
      put(card.connectors, list.pointee.connector_id_ptr, &list.pointee.count_connectors)
    case mpifs_DRM_IOCTL_MODE_GETCONNECTOR:
      let connector = argument.assumingMemoryBound(to: drm_mode_get_connector.self)
      if connector.pointee.count_modes == 0 { card.hold(\.holdsProbes, \.isProbing) }
      let (isConnected, isUnasked) = card.with { state in
        if state.master == fd {
          state.askedAsMaster += 1
          if connector.pointee.count_modes == 0 { state.isUnasked = false }
        }
        let isConnected = state.isConnected && !state.unplugged.contains(connector.pointee.connector_id)
        return (isConnected && !state.isUnasked, state.isUnasked)
      }
      put(isConnected ? modes : [], connector.pointee.modes_ptr, &connector.pointee.count_modes)
      // Each has an encoder of its own.
      let encoder = FakeCard.encoder(of: connector.pointee.connector_id)
      put([encoder], connector.pointee.encoders_ptr, &connector.pointee.count_encoders)
      connector.pointee.connector_type = UInt32(DRM_MODE_CONNECTOR_HDMIA)
      connector.pointee.connector_type_id = connector.pointee.connector_id == FakeCard.connector ? 1 : 2
      connector.pointee.connection = isUnasked ? 3 : isConnected ? 1 : 2
      connector.pointee.encoder_id = encoder
    case mpifs_DRM_IOCTL_MODE_GETENCODER:
      let encoder = argument.assumingMemoryBound(to: drm_mode_get_encoder.self)
      encoder.pointee.possible_crtcs = card.allCRTCs
      let connector = card.connectors.first { FakeCard.encoder(of: $0) == encoder.pointee.encoder_id }
      encoder.pointee.crtc_id = UInt32(connector.map { card.value($0, "CRTC_ID") } ?? 0)
    case mpifs_DRM_IOCTL_MODE_GETCRTC:
      let crtc = argument.assumingMemoryBound(to: drm_mode_crtc.self)
      crtc.pointee.mode_valid = UInt32(card.value(crtc.pointee.crtc_id, "ACTIVE"))
    case mpifs_DRM_IOCTL_MODE_GETPLANERESOURCES:
      let list = argument.assumingMemoryBound(to: drm_mode_get_plane_res.self)
      put(card.planes, list.pointee.plane_id_ptr, &list.pointee.count_planes)
    case mpifs_DRM_IOCTL_MODE_GETPLANE:
      let plane = argument.assumingMemoryBound(to: drm_mode_get_plane.self)
      plane.pointee.possible_crtcs = card.allCRTCs
      plane.pointee.crtc_id = UInt32(card.value(plane.pointee.plane_id, "CRTC_ID"))
      put([UInt32(0x3432_5258)], plane.pointee.format_type_ptr, &plane.pointee.count_format_types)
    case mpifs_DRM_IOCTL_MODE_RMFB:
      card.hold(\.holdsRemovals, \.isRemoving)
      card.with { _ = $0.framebuffers.remove(argument.load(as: UInt32.self)) }
    case mpifs_DRM_IOCTL_MODE_OBJ_GETPROPERTIES: return properties(card, argument)
    case mpifs_DRM_IOCTL_MODE_GETPROPERTY:
      let property = argument.assumingMemoryBound(to: drm_mode_get_property.self)
      guard let name = card.name(of: property.pointee.prop_id) else { return -ENOENT }
      withUnsafeMutableBytes(of: &property.pointee.name) { $0.copyBytes(from: name.utf8 + [0]) }
    default: return objects(card, request, argument)
    }
    return 0
  }

  private static func put<Element>(_ values: [Element], _ address: UInt64, _ count: inout UInt32) {
    if let place = UnsafeMutablePointer<Element>(bitPattern: UInt(address)) {
      for (index, value) in values.prefix(Int(count)).enumerated() { place[index] = value }
    }
    count = UInt32(values.count)
  }

  private static func properties(_ card: FakeCard, _ argument: UnsafeMutableRawPointer) -> CInt {
    let request = argument.assumingMemoryBound(to: drm_mode_obj_get_properties.self)
    guard let values = card.with({ $0.values[request.pointee.obj_id] }) else { return -ENOENT }
    let ids = values.keys.sorted()
    var count = request.pointee.count_props
    put(ids.map { values[$0] ?? 0 }, request.pointee.prop_values_ptr, &count)
    put(ids, request.pointee.props_ptr, &request.pointee.count_props)
    return 0
  }

  /// Blobs, buffers and framebuffers.
  private static func objects(_ card: FakeCard, _ request: UInt, _ argument: UnsafeMutableRawPointer) -> CInt {
    card.with { state in
      switch request {
      case mpifs_DRM_IOCTL_MODE_GETPROPBLOB:
        let blob = argument.assumingMemoryBound(to: drm_mode_get_blob.self)
        guard let bytes = state.blobs[blob.pointee.blob_id] else { return -ENOENT }
        put(bytes, blob.pointee.data, &blob.pointee.length)
      case mpifs_DRM_IOCTL_MODE_CREATEPROPBLOB:
        let blob = argument.assumingMemoryBound(to: drm_mode_create_blob.self)
        state.next += 1
        blob.pointee.blob_id = state.next
        state.blobs[state.next] = Array(
          UnsafeRawBufferPointer(
            start: UnsafeRawPointer(bitPattern: UInt(blob.pointee.data)), count: Int(blob.pointee.length)))
      case mpifs_DRM_IOCTL_MODE_DESTROYPROPBLOB:
        // What is set keeps its blob.
        let id = argument.load(as: UInt32.self)
        if !card.crtcs.contains(where: { state.values[$0]?[FakeCard.id("MODE_ID")] == UInt64(id) }) {
          state.blobs[id] = nil
        }
      case mpifs_DRM_IOCTL_MODE_CREATE_DUMB:
        let dumb = argument.assumingMemoryBound(to: drm_mode_create_dumb.self)
        let pitch = (dumb.pointee.width * dumb.pointee.bpp / 8 + 255) / 256 * 256
        (dumb.pointee.pitch, dumb.pointee.size) = (pitch, UInt64(pitch) * UInt64(dumb.pointee.height))
        let fd = card.inner.memfd("dumb")
        guard fd >= 0, card.inner.truncate(fd, Int64(dumb.pointee.size)) == 0 else { return -ENOMEM }
        state.next += 1
        dumb.pointee.handle = state.next
        state.dumb[state.next] = fd
        state.handles[state.next] = 0
      case mpifs_DRM_IOCTL_PRIME_HANDLE_TO_FD:
        let prime = argument.assumingMemoryBound(to: drm_prime_handle.self)
        guard let fd = state.dumb[prime.pointee.handle] else { return -ENOENT }
        prime.pointee.fd = card.inner.duplicate(fd)
      case mpifs_DRM_IOCTL_PRIME_FD_TO_HANDLE:
        let prime = argument.assumingMemoryBound(to: drm_prime_handle.self)
        var status = stat()
        guard card.inner.status(prime.pointee.fd, &status) == 0 else { return -EBADF }
        // The same buffer has the same handle as long as it is open.
        if let known = state.handles.first(where: { $0.value == UInt64(status.st_ino) }) {
          prime.pointee.handle = known.key
        } else {
          state.next += 1
          prime.pointee.handle = state.next
          state.handles[state.next] = UInt64(status.st_ino)
        }
      case mpifs_DRM_IOCTL_GEM_CLOSE:
        let handle = argument.load(as: UInt32.self)
        if state.handles.removeValue(forKey: handle) == nil { state.doubleCloses += 1 }
        if let fd = state.dumb.removeValue(forKey: handle) { _ = card.inner.close(fd) }
      case mpifs_DRM_IOCTL_MODE_ADDFB2:
        let framebuffer = argument.assumingMemoryBound(to: drm_mode_fb_cmd2.self)
        guard state.handles[framebuffer.pointee.handles.0] != nil else { return -ENOENT }
        state.next += 1
        framebuffer.pointee.fb_id = state.next
        state.framebuffers.insert(state.next)
      default: return -ENOTTY
      }
      return 0
    }
  }
}

extension FakeCard {
  /// A bit for each CRTC there is.
  var allCRTCs: UInt32 { 1 << UInt32(crtcs.count) - 1 }
  static func encoder(of connector: UInt32) -> UInt32 { connector + 50 }
  func name(of property: UInt32) -> String? {
    FakeCard.names.indices.contains(Int(property) - 100) ? FakeCard.names[Int(property) - 100] : nil
  }
}

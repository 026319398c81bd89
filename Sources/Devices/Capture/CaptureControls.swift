// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import LinuxMedia
internal import MediaCore
import Synchronization
internal import SystemPackage

/// The controls of a capture device, kept current without readers ever asking the device.
///
/// A change arrives as the driver's event, whoever made it; drivers without events, and controls the device changes by
/// itself, are looked at by the source's worker about once a second, between two pictures. What was set here is set
/// again when the device comes back.
///
/// Ownership: holds the open device until `detach`. The lock is for those that change something, and is never held
/// during a call of the driver; readers load what was published last.
final class CaptureControls: ControlSurface {
  private struct Entry {
    var description: ControlDescription
    var control: DeviceControl
    var value: ControlValue?
    /// The driver tells of changes.
    var isTold: Bool
  }

  private struct State {
    /// `nil` while the device is away.
    var device: V4L2Device?
    var entries: [Entry] = []
    /// What was set, as text.
    var kept: [String: String]
    var problems: [ControlProblem] = []
  }

  private struct Shown {
    let controls: [DeviceControl]
    let values: [String: ControlValue]
    init(_ entries: [Entry]) {
      controls = entries.map(\.control)
      values = Dictionary(
        entries.compactMap { entry in entry.value.map { (entry.control.name, $0) } }, uniquingKeysWith: { $1 })
    }
  }

  private let state: Mutex<State>
  private let shown = Published(Shown([]))
  /// When the worker looks next, CLOCK_MONOTONIC nanoseconds.
  private let nextLook = Atomic<Int64>(0)

  /// - Parameter wanted: set whenever the device is opened.
  init(wanted: [String: String]) { state = Mutex(State(kept: wanted)) }

  // MARK: reading

  var controls: [DeviceControl] { shown.value.controls }
  func value(of name: String) -> ControlValue? { shown.value.values[name] }

  func takeProblems() -> [ControlProblem] {
    state.withLock { state in
      defer { state.problems = [] }
      return state.problems
    }
  }

  private func publish(_ state: borrowing State) { shown.store(Shown(state.entries)) }

  // MARK: setting

  func set(_ name: String, _ value: ControlValue) throws(Failure) -> ControlValue? {
    let (device, entry) = state.withLock { state in
      (state.device, state.entries.first { $0.control.name == name })
    }
    guard let entry else { throw Failure(.noSuchFileOrDirectory, "control", on: name, "the device has none") }
    guard let device else { throw Failure(.deviceGone, "control", on: name, "the device is away") }
    let real = try asFailure { () throws(KernelError) in try CaptureControls.give(value, to: entry, of: device) }
    state.withLock { state in
      if !entry.control.isButton { state.kept[name] = entry.control.text(value) }
      guard state.device === device, let index = state.entries.firstIndex(where: { $0.control.name == name }) else {
        return
      }
      state.entries[index].value = real
      publish(state)
    }
    return real
  }

  func forget(_ name: String) { state.withLock { $0.kept[name] = nil } }

  /// - Returns: what the device made of it.
  private static func give(
    _ value: ControlValue, to entry: Entry, of device: V4L2Device
  ) throws(KernelError) -> ControlValue? {
    switch value {
    case .text(let text): try device.setText(text, of: entry.description)
    case .number(let number):
      // A mask of 32 bits travels as a signed number.
      let raw = entry.description.kind == .bitmask ? Int64(Int32(truncatingIfNeeded: number)) : number
      let made = try device.setValue(raw, of: entry.description)
      if entry.control.isWriteOnly { return entry.control.isButton ? nil : .number(made) }
    }
    return try read(entry.description, device)
  }

  private static func read(
    _ description: ControlDescription, _ device: V4L2Device
  ) throws(KernelError) -> ControlValue? {
    if description.flags.contains(.writeOnly) { return nil }
    switch description.kind {
    case .button, .section, .unsupported: return nil
    case .string: return .text(try device.textValue(of: description))
    case .bitmask: return .number(Int64(UInt32(truncatingIfNeeded: try device.value(of: description))))
    default: return .number(try device.value(of: description))
    }
  }

  // MARK: what the worker does

  /// The device was opened: finds its controls and sets what was set before.
  func attach(_ device: V4L2Device) {
    var (wanted, problems) = (state.withLock { $0.kept }, [ControlProblem]())
    var entries: [Entry] = []
    do throws(KernelError) {
      entries = try CaptureControls.entries(of: device)
    } catch {
      problems = wanted.sorted { $0.key < $1.key }.map {
        ControlProblem(name: $0.key, text: $0.value, errno: error.errno, reason: "\(error)")
      }
      wanted = [:]
    }
    problems += CaptureControls.set(wanted, &entries, device)
    for index in entries.indices {
      entries[index].value = try? CaptureControls.read(entries[index].description, device)
    }
    state.withLock { state in
      state.device = device
      state.entries = entries
      state.problems += problems
      publish(state)
    }
    nextLook.store(0, ordering: .relaxed)
  }

  /// The device is let go; what was last known stays readable.
  func detach() { state.withLock { $0.device = nil } }

  /// A control changed, whoever changed it.
  func changed(_ event: ControlEvent) {
    let (device, found) = state.withLock { state in
      (state.device, state.entries.first { $0.description.id == event.id })
    }
    guard let device, let old = found else { return }
    var description = old.description
    description.flags = event.flags
    if event.changes.contains(.range), let new = try? device.control(event.id) { description = new }
    // The event has no text, and of a control that changes by itself the value it had when it was set.
    let isNumber = description.kind != .string && !description.flags.contains(.volatileValue)
    var value = old.value
    if event.changes.contains(.value) || event.changes.contains(.flags) {
      value =
        isNumber
        ? description.flags.contains(.writeOnly) || description.kind == .button ? nil : .number(event.value)
        : (try? CaptureControls.read(description, device)) ?? value
      if description.kind == .bitmask { value = .number(Int64(UInt32(truncatingIfNeeded: event.value))) }
    }
    state.withLock { state in
      guard let index = state.entries.firstIndex(where: { $0.description.id == event.id }) else { return }
      state.entries[index].description = description
      state.entries[index].control = DeviceControl(description, name: old.control.name)
      state.entries[index].value = value
      publish(state)
    }
  }

  /// Reads what nobody tells of, if it is time. A device whose controls answer slowly is asked more seldom: a hundredth
  /// of the time at most goes into it.
  func lookAround() {
    let began = Clock.now()
    guard began >= nextLook.load(ordering: .relaxed) else { return }
    let (device, untold) = state.withLock { state in
      (
        state.device,
        state.entries.filter { !$0.isTold || $0.description.flags.contains(.volatileValue) }.map(\.description)
      )
    }
    guard let device else { return }
    var read: [UInt32: ControlValue] = [:]
    for description in untold { read[description.id] = (try? CaptureControls.read(description, device)) ?? nil }
    if !read.isEmpty {
      state.withLock { state in
        var isNew = false
        for index in state.entries.indices {
          guard let value = read[state.entries[index].description.id], value != state.entries[index].value else {
            continue
          }
          state.entries[index].value = value
          isNew = true
        }
        if isNew { publish(state) }
      }
    }
    let ended = Clock.now()
    nextLook.store(ended + max(.seconds(1), (ended - began) * 100), ordering: .relaxed)
  }

  // MARK: opening

  private static func entries(of device: V4L2Device) throws(KernelError) -> [Entry] {
    // `help` is the page beside them.
    var names: Set<String> = ["help"]
    var entries: [Entry] = []
    for description in try device.controls() where description.kind != .section && !description.key.isEmpty {
      var name = description.key
      var number = 2
      while !names.insert(name).inserted {
        name = "\(description.key)_\(number)"
        number += 1
      }
      let isTold = (try? device.subscribe(.control, id: description.id, ownChanges: true)) ?? false
      entries.append(
        Entry(description: description, control: DeviceControl(description, name: name), value: nil, isTold: isTold))
    }
    return entries
  }

  /// Sets what was asked in the device's order, switches and modes first: they decide which of the others are active.
  private static func set(_ wanted: [String: String], _ entries: inout [Entry], _ device: V4L2Device)
    -> [ControlProblem]
  {
    var problems: [ControlProblem] = []
    var order = entries.filter { wanted[$0.control.name] != nil }
    order =
      order.filter { $0.description.kind == .boolean || $0.description.kind == .menu }
      + order.filter { $0.description.kind != .boolean && $0.description.kind != .menu }
    for entry in order {
      let (name, text) = (entry.control.name, wanted[entry.control.name] ?? "")
      do {
        let value = try entry.control.parse(Array(text.utf8), path: name)
        let real = try give(value, to: entry, of: device)
        if let real, real != value, !entry.control.isVolatile {
          problems.append(
            ControlProblem(
              name: name, text: text, errno: Errno(rawValue: 0),
              reason: "the device made \(entry.control.text(real)) of it"))
        }
      } catch let refusal as MediaCore.Refusal {
        problems.append(
          ControlProblem(name: name, text: text, errno: refusal.errno, reason: "\(refusal.reason); \(refusal.hint)"))
      } catch let error as KernelError {
        problems.append(ControlProblem(name: name, text: text, errno: error.errno, reason: "\(error)"))
      } catch {
        problems.append(ControlProblem(name: name, text: text, errno: .ioError, reason: "\(error)"))
      }
    }
    let known = Set(entries.map(\.control.name))
    problems += wanted.filter { !known.contains($0.key) }.sorted { $0.key < $1.key }.map {
      ControlProblem(
        name: $0.key, text: $0.value, errno: .noSuchFileOrDirectory,
        reason: "\(device.capability.card) has no such control")
    }
    return problems
  }
}

extension DeviceControl {
  init(_ description: ControlDescription, name: String) {
    let kind: Kind =
      switch description.kind {
      case .integer, .integer64: .integer
      case .boolean: .boolean
      case .menu: .menu
      case .integerMenu: .integerMenu
      case .button: .button
      case .bitmask: .bitmask
      case .string: .string
      case .section: .unsupported("heading")
      case .unsupported(let type): .unsupported(type >= 0x100 || type == 7 ? "compound" : "array")
      }
    let flags = description.flags
    self.init(
      name: name, title: description.name, kind: kind, minimum: description.minimum, maximum: description.maximum,
      step: Int64(clamping: description.step), defaultValue: description.defaultValue,
      choices: description.menu.map { Choice(number: $0.index, name: $0.name) }, unit: Self.units[description.id],
      isReadOnly: flags.contains(.readOnly), isWriteOnly: flags.contains(.writeOnly) || kind == .button,
      isVolatile: flags.contains(.volatileValue), isInactive: flags.contains(.inactive),
      isGrabbed: flags.contains(.grabbed))
  }

  /// What the numbers of standard controls count (kernel: userspace-api/media/v4l, ext-ctrls-camera and control pages).
  private static let units: [UInt32: String] = [
    0x0098_091a: "K",  // V4L2_CID_WHITE_BALANCE_TEMPERATURE
    0x009a_0902: "100 us",  // V4L2_CID_EXPOSURE_ABSOLUTE
    0x009a_0908: "arc seconds",  // V4L2_CID_PAN_ABSOLUTE
    0x009a_0909: "arc seconds",  // V4L2_CID_TILT_ABSOLUTE
    0x009e_0901: "lines",  // V4L2_CID_VBLANK
    0x009e_0902: "pixels",  // V4L2_CID_HBLANK
    0x009f_0901: "Hz",  // V4L2_CID_LINK_FREQ
    0x009f_0902: "pixels/s",  // V4L2_CID_PIXEL_RATE
  ]
}

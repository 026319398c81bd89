// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The controls of a fake driver, one of each kind.
struct FakeControls {
  struct Control {
    var id: UInt32
    var name: String
    /// V4L2_CTRL_TYPE_
    var type: UInt32
    var minimum: Int64 = 0
    var maximum: Int64 = 0
    var step: UInt64 = 1
    var defaultValue: Int64 = 0
    /// V4L2_CTRL_FLAG_
    var flags: UInt32 = 0
    var menu: [String] = []
    var elements: UInt32 = 1
    var value: Int64 = 0
    var text = ""
  }

  static let brightness: UInt32 = 0x0098_0900
  static let gain: UInt32 = 0x0098_0913
  static let autogain: UInt32 = 0x0098_0912
  static let pattern: UInt32 = 0x0098_f000
  static let steps: UInt32 = 0x0098_f001
  static let mask: UInt32 = 0x0098_f002
  static let serial: UInt32 = 0x0098_f003
  static let press: UInt32 = 0x0098_f004
  static let temperature: UInt32 = 0x0098_f005
  static let area: UInt32 = 0x0098_f006
  static let exposure: UInt32 = 0x009a_0902

  var list: [Control] = [
    Control(id: brightness, name: "Brightness", type: 1, maximum: 255, defaultValue: 128, value: 128),
    Control(id: autogain, name: "Gain, Automatic", type: 2, maximum: 1, defaultValue: 1, value: 1),
    Control(id: gain, name: "Gain", type: 1, maximum: 100, step: 10, defaultValue: 50, flags: 0x10, value: 50),
    Control(
      id: pattern, name: "Test Pattern", type: 3, maximum: 3, menu: ["Off", "", "Bars", "Off"], value: 2),
    Control(id: steps, name: "Steps", type: 9, maximum: 3, menu: ["1", "1", "2", "30"]),
    Control(id: mask, name: "Mask", type: 8, maximum: 0x8000_00ff, defaultValue: 1, value: 1),
    Control(id: serial, name: "Serial", type: 7, minimum: 2, maximum: 8, step: 2, text: "ab"),
    Control(id: press, name: "Press", type: 4, flags: 0x40),
    Control(id: temperature, name: "Temperature", type: 1, maximum: 200, flags: 0x84, value: 20),
    Control(id: area, name: "Area", type: 1, maximum: 9, elements: 16),
    Control(id: exposure, name: "Exposure Time, Absolute", type: 1, minimum: 1, maximum: 10000, value: 100),
  ]
  var hasEvents = true
  /// The driver takes no more than this, and says nothing.
  var clampsBrightness: Int64 = 255
  var isGrabbed = false
  var subscribed: Set<UInt32> = []
  var events: [UInt32] = []
  var presses = 0
  /// What was set, in order.
  var journal: [String] = []
  /// Values asked of it.
  var reads = 0

  subscript(id: UInt32) -> Control {
    get { list.first { $0.id == id } ?? Control(id: 0, name: "", type: 0) }
    set { if let index = list.firstIndex(where: { $0.id == id }) { list[index] = newValue } }
  }

  /// As another program does it.
  mutating func change(_ id: UInt32, _ value: Int64) {
    self[id].value = value
    if subscribed.contains(id), !events.contains(id) { events.append(id) }
  }

  mutating func answer(_ request: UInt, _ argument: UnsafeMutableRawPointer) -> CInt? {
    switch request {
    case mpifs_VIDIOC_QUERY_EXT_CTRL: return describe(argument.bindMemory(to: v4l2_query_ext_ctrl.self, capacity: 1))
    case mpifs_VIDIOC_QUERYMENU:
      let out = argument.bindMemory(to: v4l2_querymenu.self, capacity: 1)
      let control = self[out.pointee.id]
      guard Int(out.pointee.index) < control.menu.count else { return -EINVAL }
      let entry = control.menu[Int(out.pointee.index)]
      guard !entry.isEmpty else { return -EINVAL }
      withUnsafeMutableBytes(of: &out.pointee) { bytes in
        // struct v4l2_querymenu: id, index, then name[32] or a 64-bit value
        if control.type == 9 {
          bytes.storeBytes(of: Int64(entry) ?? 0, toByteOffset: 8, as: Int64.self)
        } else {
          UnsafeMutableRawBufferPointer(rebasing: bytes[8..<40]).copyBytes(from: entry.utf8)
        }
      }
      return 0
    case mpifs_VIDIOC_G_EXT_CTRLS, mpifs_VIDIOC_S_EXT_CTRLS:
      let list = argument.bindMemory(to: v4l2_ext_controls.self, capacity: 1)
      guard let item = list.pointee.controls, self[item.pointee.id].id != 0 else { return -EINVAL }
      return request == mpifs_VIDIOC_G_EXT_CTRLS ? read(item) : write(item)
    case mpifs_VIDIOC_SUBSCRIBE_EVENT:
      let wanted = argument.bindMemory(to: v4l2_event_subscription.self, capacity: 1)
      guard wanted.pointee.type == 3, hasEvents else { return -EINVAL }
      subscribed.insert(wanted.pointee.id)
      return 0
    case mpifs_VIDIOC_DQEVENT:
      guard !events.isEmpty else { return -ENOENT }
      let control = self[events.removeFirst()]
      let out = argument.bindMemory(to: v4l2_event.self, capacity: 1)
      out.pointee.type = 3
      out.pointee.id = control.id
      out.pointee.pending = UInt32(events.count)
      out.pointee.u.ctrl.changes = 3
      out.pointee.u.ctrl.type = control.type
      out.pointee.u.ctrl.value = Int32(truncatingIfNeeded: control.value)
      out.pointee.u.ctrl.flags = control.flags
      return 0
    default: return nil
    }
  }

  private func describe(_ out: UnsafeMutablePointer<v4l2_query_ext_ctrl>) -> CInt {
    let asked = out.pointee.id & 0x0fff_ffff
    let isNext = out.pointee.id != asked
    let sorted = list.sorted { $0.id < $1.id }
    guard let control = sorted.first(where: { isNext ? $0.id > asked : $0.id == asked }) else { return -EINVAL }
    out.pointee.id = control.id
    out.pointee.type = control.type
    (out.pointee.minimum, out.pointee.maximum) = (control.minimum, control.maximum)
    (out.pointee.step, out.pointee.default_value) = (control.step, control.defaultValue)
    out.pointee.flags = control.flags | (isGrabbed ? 2 : 0)
    out.pointee.elems = control.elements
    withUnsafeMutableBytes(of: &out.pointee.name) { $0.copyBytes(from: control.name.utf8) }
    return 0
  }

  private mutating func read(_ item: UnsafeMutablePointer<v4l2_ext_control>) -> CInt {
    let control = self[item.pointee.id]
    guard control.flags & 0x40 == 0 else { return -EACCES }
    reads += 1
    if control.type == 7 {
      guard Int(item.pointee.size) > control.text.utf8.count else { return -ENOSPC }
      for (index, byte) in (control.text.utf8.map { CChar(bitPattern: $0) } + [0]).enumerated() {
        item.pointee.string[index] = byte
      }
    } else {
      item.pointee.value = Int32(truncatingIfNeeded: control.value)
    }
    return 0
  }

  private mutating func write(_ item: UnsafeMutablePointer<v4l2_ext_control>) -> CInt {
    let id = item.pointee.id
    guard self[id].flags & 4 == 0 else { return -EACCES }
    guard !isGrabbed else { return -EBUSY }
    switch self[id].type {
    case 4: presses += 1
    case 7: self[id].text = String(cString: item.pointee.string)
    case 8: change(id, Int64(UInt32(bitPattern: item.pointee.value)))
    default:
      change(id, id == Self.brightness ? min(clampsBrightness, Int64(item.pointee.value)) : Int64(item.pointee.value))
    }
    if id == Self.autogain {
      self[Self.gain].flags = self[id].value == 0 ? 0 : 0x10
      change(Self.gain, self[Self.gain].value)
    }
    item.pointee.value = Int32(truncatingIfNeeded: self[id].value)
    journal.append("\(self[id].name)=\(self[id].type == 7 ? self[id].text : "\(self[id].value)")")
    return 0
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// A control of a device: what it is, what it takes.
public struct ControlDescription: Sendable, Equatable {
  /// `V4L2_CTRL_TYPE_`; compound types have no single value and are `unsupported` here.
  public enum Kind: Sendable, Equatable {
    case integer, boolean, menu, button, integer64, integerMenu, bitmask
    /// Text; minimum and maximum are its length in bytes.
    case string
    /// A heading of the driver's list.
    case section
    case unsupported(UInt32)
  }
  public struct Flags: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let disabled = Flags(rawValue: 0x0001)
    /// Cannot be set now (EBUSY).
    public static let grabbed = Flags(rawValue: 0x0002)
    public static let readOnly = Flags(rawValue: 0x0004)
    public static let inactive = Flags(rawValue: 0x0010)
    public static let writeOnly = Flags(rawValue: 0x0040)
    public static let volatileValue = Flags(rawValue: 0x0080)
  }

  public var id: UInt32
  public var name: String
  public var kind: Kind
  public var flags: Flags
  public var minimum: Int64
  public var maximum: Int64
  public var step: UInt64
  public var defaultValue: Int64
  /// The entries of a menu by their number; integer menus have their values as text.
  public var menu: [(index: Int64, name: String)]

  /// As a file name: lower case, everything else than letters and digits one underscore (as `v4l2-ctl` prints it).
  public var key: String {
    var text = ""
    for byte in name.utf8 {
      let lower = byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte
      if lower >= 0x61 && lower <= 0x7a || lower >= 0x30 && lower <= 0x39 {
        text.unicodeScalars.append(Unicode.Scalar(lower))
      } else if !text.isEmpty && !text.hasSuffix("_") {
        text.append("_")
      }
    }
    while text.hasSuffix("_") { text.removeLast() }
    return text
  }

  public static func == (a: ControlDescription, b: ControlDescription) -> Bool {
    a.id == b.id && a.name == b.name && a.kind == b.kind && a.flags == b.flags && a.minimum == b.minimum
      && a.maximum == b.maximum && a.step == b.step && a.defaultValue == b.defaultValue
      && a.menu.elementsEqual(b.menu) { $0 == $1 }
  }
}

extension ControlDescription.Kind {
  init(_ raw: UInt32) {
    self =
      switch raw {
      case 1: .integer
      case 2: .boolean
      case 3: .menu
      case 4: .button
      case 5: .integer64
      case 6: .section
      case 7: .string
      case 8: .bitmask
      case 9: .integerMenu
      default: .unsupported(raw)
      }
  }
}

extension V4L2Device {
  /// All controls of the device, in its own order, disabled ones left out.
  public func controls() throws(KernelError) -> [ControlDescription] {
    var found: [ControlDescription] = []
    // V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND
    let next: UInt32 = 0x8000_0000 | 0x4000_0000
    var id: UInt32 = 0
    while found.count < 1024 {
      var argument = v4l2_query_ext_ctrl()
      argument.id = id | next
      let result = attempt(mpifs_VIDIOC_QUERY_EXT_CTRL, &argument)
      if result == -EINVAL || result == -ENOTTY { break }
      if result < 0 { throw error(result, "VIDIOC_QUERY_EXT_CTRL") }
      // A driver that does not move on would keep us here for ever.
      guard argument.id > id else { break }
      id = argument.id
      let control = try description(argument)
      if !control.flags.contains(.disabled) { found.append(control) }
    }
    return found
  }

  /// One control, or `nil` when the device has none of that number.
  public func control(_ id: UInt32) throws(KernelError) -> ControlDescription? {
    var argument = v4l2_query_ext_ctrl()
    argument.id = id
    let result = attempt(mpifs_VIDIOC_QUERY_EXT_CTRL, &argument)
    if result == -EINVAL || result == -ENOTTY { return nil }
    if result < 0 { throw error(result, "VIDIOC_QUERY_EXT_CTRL") }
    return try description(argument)
  }

  private func description(_ answer: v4l2_query_ext_ctrl) throws(KernelError) -> ControlDescription {
    var flat = mpifs_control_description()
    withUnsafePointer(to: answer) { mpifs_control_from_kernel($0, &flat) }
    var control = ControlDescription(
      id: flat.id, name: text(flat.name), kind: .init(flat.type), flags: .init(rawValue: flat.flags),
      minimum: flat.minimum, maximum: flat.maximum, step: flat.step, defaultValue: flat.default_value, menu: [])
    // Arrays have no single value either.
    if flat.elements > 1 { control.kind = .unsupported(flat.type) }
    if control.kind == .menu || control.kind == .integerMenu { control.menu = try menu(of: control) }
    return control
  }

  private func menu(of control: ControlDescription) throws(KernelError) -> [(index: Int64, name: String)] {
    var entries: [(index: Int64, name: String)] = []
    guard control.minimum >= 0, control.maximum < 256, control.minimum <= control.maximum else { return entries }
    for index in control.minimum...control.maximum {
      var argument = v4l2_querymenu()
      argument.id = control.id
      argument.index = UInt32(index)
      let result = attempt(mpifs_VIDIOC_QUERYMENU, &argument)
      // Menus may have holes.
      if result == -EINVAL { continue }
      if result < 0 { throw error(result, "VIDIOC_QUERYMENU") }
      if control.kind == .integerMenu {
        entries.append((index, "\(withUnsafePointer(to: argument) { mpifs_menu_value($0) })"))
      } else {
        let name = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 33) { bytes in
          guard let start = bytes.baseAddress else { return "" }
          withUnsafePointer(to: argument) { mpifs_menu_name($0, start) }
          return String(cString: start)
        }
        entries.append((index, name))
      }
    }
    return entries
  }

  /// The control's value in this open instance.
  public func value(of control: ControlDescription) throws(KernelError) -> Int64 {
    try exchange("VIDIOC_G_EXT_CTRLS", mpifs_VIDIOC_G_EXT_CTRLS, control, 0)
  }

  /// The value of a control by its number, or `nil` when the device has none of that number.
  public func value(ofControl id: UInt32) throws(KernelError) -> Int64? {
    guard let control = try control(id) else { return nil }
    return try value(of: control)
  }

  /// Sets it; for a button any value presses it.
  /// - Returns: the value the driver made of it.
  /// - Throws: EINVAL, ERANGE, EBUSY, EACCES as the driver says.
  @discardableResult
  public func setValue(_ value: Int64, of control: ControlDescription) throws(KernelError) -> Int64 {
    if control.kind != .integer64, Int32(exactly: value) == nil {
      throw KernelError(.outOfRange, "VIDIOC_S_EXT_CTRLS \(control.name)", on: path)
    }
    return try exchange("VIDIOC_S_EXT_CTRLS", mpifs_VIDIOC_S_EXT_CTRLS, control, value)
  }

  /// The text of a `string` control.
  public func textValue(of control: ControlDescription) throws(KernelError) -> String {
    let room = max(0, min(Int(control.maximum), 65535)) + 1
    var list = v4l2_ext_controls()
    var item = v4l2_ext_control()
    let (result, text) = withUnsafeTemporaryAllocation(of: CChar.self, capacity: room) { bytes in
      bytes.initialize(repeating: 0)
      let result = withUnsafeMutablePointer(to: &item) { pointer in
        mpifs_control_text_to_kernel(control.id, bytes.baseAddress, UInt32(room), &list, pointer)
        return attempt(mpifs_VIDIOC_G_EXT_CTRLS, &list)
      }
      bytes[room - 1] = 0
      return (result, bytes.baseAddress.map { String(cString: $0) } ?? "")
    }
    if result < 0 { throw KernelError(.init(rawValue: -result), "VIDIOC_G_EXT_CTRLS \(control.name)", on: path) }
    return text
  }

  /// Sets the text of a `string` control.
  /// - Throws: ERANGE for a length it does not take, EBUSY, EACCES as the driver says.
  public func setText(_ text: String, of control: ControlDescription) throws(KernelError) {
    var list = v4l2_ext_controls()
    var item = v4l2_ext_control()
    var bytes = text.utf8.map { CChar(bitPattern: $0) } + [0]
    let result = bytes.withUnsafeMutableBufferPointer { bytes in
      withUnsafeMutablePointer(to: &item) { pointer in
        mpifs_control_text_to_kernel(control.id, bytes.baseAddress, UInt32(clamping: bytes.count), &list, pointer)
        return attempt(mpifs_VIDIOC_S_EXT_CTRLS, &list)
      }
    }
    if result < 0 { throw KernelError(.init(rawValue: -result), "VIDIOC_S_EXT_CTRLS \(control.name)", on: path) }
  }

  private func exchange(
    _ name: StaticString, _ request: UInt, _ control: ControlDescription, _ value: Int64
  ) throws(KernelError) -> Int64 {
    let is64: CInt = control.kind == .integer64 ? 1 : 0
    var list = v4l2_ext_controls()
    var item = v4l2_ext_control()
    let result = withUnsafeMutablePointer(to: &item) { pointer in
      mpifs_control_to_kernel(control.id, value, is64, &list, pointer)
      return attempt(request, &list)
    }
    if result < 0 { throw KernelError(.init(rawValue: -result), "\(name) \(control.name)", on: path) }
    return withUnsafePointer(to: item) { mpifs_control_value($0, is64) }
  }
}

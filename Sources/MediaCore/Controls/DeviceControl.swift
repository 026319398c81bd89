// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// A control of a device: brightness, exposure, a test picture. What it is and takes; the value is kept apart.
///
/// The tree shows each as `controls/NAME`; `config` has those that were set, under the same name.
public struct DeviceControl: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    case integer, boolean, button, bitmask
    /// Choices by name.
    case menu
    /// Choices that are numbers.
    case integerMenu
    /// Text; minimum and maximum are its length in bytes.
    case string
    /// Not one value: an array or a structure, in the words of the device's interface.
    case unsupported(String)
  }

  /// One choice of a menu.
  public struct Choice: Sendable, Equatable {
    public var number: Int64
    public var name: String
    public init(number: Int64, name: String) {
      self.number = number
      self.name = name
    }
  }

  /// The name of its file: the device's name in lower case, with underscores.
  public var name: String
  /// As the device calls it.
  public var title: String
  public var kind: Kind
  public var minimum: Int64
  public var maximum: Int64
  public var step: Int64
  public var defaultValue: Int64
  public var choices: [Choice]
  /// `100 us`, where the device's interface says what the number counts; `nil` otherwise.
  public var unit: String?
  public var isReadOnly: Bool
  public var isWriteOnly: Bool
  /// The device changes it by itself, unasked.
  public var isVolatile: Bool
  /// Has no effect now, because another control decides (an exposure time while exposure is automatic).
  public var isInactive: Bool
  /// Cannot be set now.
  public var isGrabbed: Bool

  public init(
    name: String, title: String, kind: Kind, minimum: Int64 = 0, maximum: Int64 = 0, step: Int64 = 1,
    defaultValue: Int64 = 0, choices: [Choice] = [], unit: String? = nil, isReadOnly: Bool = false,
    isWriteOnly: Bool = false,
    isVolatile: Bool = false, isInactive: Bool = false, isGrabbed: Bool = false
  ) {
    self.name = name
    self.title = title
    self.kind = kind
    self.minimum = minimum
    self.maximum = maximum
    self.step = step
    self.defaultValue = defaultValue
    self.choices = choices
    self.unit = unit
    self.isReadOnly = isReadOnly
    self.isWriteOnly = isWriteOnly
    self.isVolatile = isVolatile
    self.isInactive = isInactive
    self.isGrabbed = isGrabbed
  }

  /// Pressed, not set: it has no value.
  public var isButton: Bool { kind == .button }

  /// Whether a value can be given that stays, which is what a configuration can bring back.
  public var isSetting: Bool {
    if case .unsupported = kind { return false }
    return !isReadOnly && !isWriteOnly && !isButton
  }
}

/// The value of a control: a number, which is also the number of a choice, or a text.
public enum ControlValue: Sendable, Equatable {
  case number(Int64)
  case text(String)
}

/// The controls of one open device. Reading takes no lock and does no device I/O; setting does and may wait for the
/// device.
public protocol ControlSurface: AnyObject, Sendable {
  /// In the device's order. What a control takes, and whether it is inactive, may change with the others.
  var controls: [DeviceControl] { get }
  /// The value as last heard of: from the device's own notice of a change, the answer to a change made here, or (where the
  /// device gives no notice) a look about once a second. `nil` for what has none or could not be read.
  func value(of name: String) -> ControlValue?
  /// Sets it, or presses a button. On the control lane.
  ///
  /// What was set this way is set again by the source when the device has been away; it is forgotten with `forget`.
  /// - Returns: what the device made of it, as read back.
  /// - Throws: ENOENT no such control, ENODEV the device is away; EINVAL, ERANGE, EBUSY, EACCES as the device says.
  func set(_ name: String, _ value: ControlValue) throws(Failure) -> ControlValue?
  /// Does not set it again when the device comes back.
  func forget(_ name: String)
  /// What could not be set when the device was opened or came back: each is given once.
  func takeProblems() -> [ControlProblem]
}

/// A control that could not be set as it was asked.
public struct ControlProblem: Sendable, Equatable {
  public var name: String
  /// What was asked.
  public var text: String
  public var errno: Errno
  public var reason: String
  public init(name: String, text: String, errno: Errno, reason: String) {
    self.name = name
    self.text = text
    self.errno = errno
    self.reason = reason
  }
}

extension ControlSurface {
  public func control(_ name: String) -> DeviceControl? { controls.first { $0.name == name } }
}

// SPDX-License-Identifier: Apache-2.0

public import Reports

/// One text node of the tree. The tree, `help` and `report` follow from the list of pages, ``PageTable``.
public struct Page: Sendable {
  /// Where it is in the tree; at each path stands the same node.
  public var paths: [String]
  /// What it shows, for `help`.
  public var summary: String
  /// About how many bytes its text has.
  public var capacity: Int
  /// What may be written to it; nil for what is only read.
  public var takes: Intake?
  public var place: PlaceInReport
  /// What must have been looked at before it is rendered, by a thread of its own while whoever opens it waits; nil where it
  /// shows nothing of that.
  public var needs: Need?
  /// Where buffers lie in memory must have been looked at, too.
  public var needsLayout: Bool
  /// It has what the kernel keeps from all but root (addresses): only the mount's owner reads it, and `report`, which all may read
  /// and which is sent to others, goes without.
  public var isPrivate: Bool
  public var render: @Sendable (Moment, inout TextWriter) -> Void

  /// What takes longer to look at than a render may.
  public enum Need: Sendable {
    /// The system's memory, see ``MemoryLook``.
    case look(MemoryLook)
    /// The table of buffers against the kernel's descriptors. `report` has what the last check found.
    case check
  }

  /// Where `report` has it. Those of one place stand in the order of the list.
  public enum PlaceInReport: Sendable {
    /// Before all others: what is read first.
    case first
    case middle
    /// After the objects.
    case last
    case absent
  }

  public init(
    _ path: String, also more: [String] = [], capacity: Int = 4096, takes: Intake? = nil,
    inReport place: PlaceInReport = .middle, needs: Need? = nil, needsLayout: Bool = false,
    isPrivate: Bool = false, _ summary: String,
    render: @escaping @Sendable (Moment, inout TextWriter) -> Void
  ) {
    self.paths = [path] + more
    self.summary = summary
    self.capacity = capacity
    self.takes = takes
    self.place = isPrivate ? .absent : place
    self.needs = needs
    self.needsLayout = needsLayout
    self.isPrivate = isPrivate
    self.render = render
  }

  /// It shows nothing but what was looked at, so that without it there is nothing to show.
  public var isMemoryAlone: Bool { paths.allSatisfy { $0.hasPrefix("rk_") } }

  /// Its line of `help`.
  var help: SettingHelp {
    let also = paths.dropFirst().map { "; also \($0)" }.joined()
    return Intake.help(takes, path: paths[0], note: summary + also)
  }
}

/// What may be written to a page.
public struct Intake: Sendable {
  /// Type of what is taken, and what of it, for `help`.
  public var type = "text"
  public var range: String
  /// What is written is a value that stands and is read back, and this is what it is before any was; nil where what is written
  /// asks for something to be done once.
  public var defaultValue: String?
  /// Longest text, bytes.
  public var limit: Int
  /// Only a write at offset 0 is taken: what is longer than a pipe's buffer must not be taken for two.
  public var isWhole: Bool
  /// What a written text asks for.
  public var parse: @Sendable ([UInt8]) throws(Mistake) -> Action

  public init(
    _ range: String, limit: Int = 4096, isWhole: Bool = false,
    parse: @escaping @Sendable ([UInt8]) throws(Mistake) -> Action
  ) {
    self.range = range
    self.limit = limit
    self.isWhole = isWhole
    self.parse = parse
  }

  /// A number as the kernel's nodes take it, see ``kernelNumber(_:)``; 0 before any was written.
  static func number(_ action: @escaping @Sendable (UInt32) -> Action) -> Intake {
    var intake = Intake("0..4294967295") { (text) throws(Mistake) in action(try kernelNumber(text)) }
    intake.type = "u32"
    intake.defaultValue = "0"
    return intake
  }

  /// The line of `help` of a page with this intake, or with none.
  static func help(_ intake: Intake?, path: String, note: String) -> SettingHelp {
    let isValue = intake?.defaultValue != nil
    return SettingHelp(
      path: path, kind: intake == nil ? .info : isValue ? .setting : .command, type: intake?.type ?? "",
      range: intake?.range, defaultValue: intake?.defaultValue, isLive: isValue ? true : nil, note: note)
  }

  /// What writing to a page can bring about. Whoever serves the pages carries it out.
  public enum Action: Sendable, Equatable {
    case loadConfiguration([UInt8])
    case clearErrorLog
    /// A command of the module log.
    case logCommand([UInt8])
    case resetMemoryPeak
    case setMemoryLimit([UInt8])
    /// Remembers the system's buffers under a name.
    case markMemory(String)
    /// Forgets that mark; all for nil.
    case clearMemoryMark(String?)
    /// Sets a number for all services.
    case setServices(ServiceSetting, UInt32)
    /// The same for one, by its name.
    case setService(String, ServiceSetting, UInt32)
  }

  /// A text that asks for nothing: EINVAL, or ERANGE.
  public struct Mistake: Error, Equatable {
    public var reason: String
    /// What would be right.
    public var hint: String
    /// It is a value, and too large.
    public var isOutOfRange: Bool

    public init(reason: String, hint: String, isOutOfRange: Bool = false) {
      self.reason = reason
      self.hint = hint
      self.isOutOfRange = isOutOfRange
    }
  }
}

/// One node that every service has, in the directory of that service.
public struct ServicePage: Sendable {
  /// Its name in that directory.
  public var name: String
  /// What it shows, for `help`.
  public var summary: String
  /// About how many bytes its text has.
  public var capacity: Int
  /// The number of the service that can be written to it; nil for what is only read.
  public var takes: ServiceSetting?
  public var render: @Sendable (ServiceReport, Moment, inout TextWriter) -> Void

  public init(
    _ name: String, capacity: Int, takes: ServiceSetting? = nil, _ summary: String,
    render: @escaping @Sendable (ServiceReport, Moment, inout TextWriter) -> Void
  ) {
    self.name = name
    self.summary = summary
    self.capacity = capacity
    self.takes = takes
    self.render = render
  }

  /// What may be written to the node of one service.
  public func intake(of service: String) -> Intake? {
    takes.map { setting in .number { .setService(service, setting, $0) } }
  }

  /// Its line of `help`.
  func help(in folder: String) -> SettingHelp {
    Intake.help(intake(of: ""), path: "\(folder)/SERVICE/\(name)", note: summary)
  }
}

/// One info node that every object of a class has.
public struct ObjectPage: Sendable {
  /// Its name in the object's directory: the key of its row in the settings table.
  public var name: String
  /// About how many bytes its text has.
  public var capacity: Int
  /// `report` has it also when it is empty.
  public var isShownEmpty: Bool
  public var render: @Sendable (ObjectState, inout TextWriter) -> Void

  public init(
    _ name: String, capacity: Int, isShownEmpty: Bool = true,
    render: @escaping @Sendable (ObjectState, inout TextWriter) -> Void
  ) {
    self.name = name
    self.capacity = capacity
    self.isShownEmpty = isShownEmpty
    self.render = render
  }
}

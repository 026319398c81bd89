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
  public var render: @Sendable (Moment, inout TextWriter) -> Void

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
    inReport place: PlaceInReport = .middle, _ summary: String,
    render: @escaping @Sendable (Moment, inout TextWriter) -> Void
  ) {
    self.paths = [path] + more
    self.summary = summary
    self.capacity = capacity
    self.takes = takes
    self.place = place
    self.render = render
  }

  /// Its line of `help`.
  var help: SettingHelp {
    let also = paths.dropFirst().map { "; also \($0)" }.joined()
    return SettingHelp(
      path: paths[0], kind: takes == nil ? .info : .command, type: takes == nil ? "" : "text", range: takes?.range,
      note: summary + also)
  }
}

/// What may be written to a page.
public struct Intake: Sendable {
  /// What is taken, for `help`.
  public var range: String
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

  /// What writing to a page can bring about. Whoever serves the pages carries it out.
  public enum Action: Sendable, Equatable {
    case loadConfiguration([UInt8])
    case clearErrorLog
    /// A command of the module log.
    case logCommand([UInt8])
    case resetMemoryPeak
  }

  /// A text that asks for nothing: EINVAL.
  public struct Mistake: Error, Equatable {
    public var reason: String
    /// What would be right.
    public var hint: String

    public init(reason: String, hint: String) {
      self.reason = reason
      self.hint = hint
    }
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

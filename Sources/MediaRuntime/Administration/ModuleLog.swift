// SPDX-License-Identifier: Apache-2.0
import Glibc
public import Reports
import Synchronization

/// What the modules did: made, started, bound, failed. One log for all, a level for each module, as the vendors' log
/// nodes have it (Rockit `vlog`: 51200 bytes, every module starts at level 4, `inf`).
///
/// The vendor's buffer starts again at its beginning when it is full, so that old and new lines stand mixed and one is
/// cut. Here whole old records give way instead: what is shown is always in order of time, and never longer than the
/// vendor's buffer.
///
/// Modules log changes of state, never single frames. A call whose level is off costs the look at it: its text is not
/// made.
public final class ModuleLog: Sendable {
  /// Size of the vendor's buffer in bytes of text.
  public static let capacity = 51200
  /// Level of every module at the start: errors, warnings and information.
  public static let defaultLevel = 4
  /// 0 and 1 are both "off", 2 errors, 3 warnings, 4 information, 5 debug.
  public static let levels = 0...5

  private struct State {
    var records: [LogRecord] = []
    /// Records before this index have given way; removed in bulk so that an append stays cheap.
    var start = 0
    var bytes = 0
  }
  private let state = Mutex(State())
  private final class Level: Sendable { let value = Atomic(ModuleLog.defaultLevel) }
  private let thresholds: [ModuleKind: Level]
  /// Those that have a level: the classes of objects, then the vendor's other parts.
  public let modules: [ModuleKind]

  public convenience init() { self.init(Modules.all) }

  init(_ classes: [ModuleClass]) {
    modules = classes.filter { !$0.type.isPart }.map { ModuleKind($0.type.name) } + [.memory, .system]
    thresholds = Dictionary(modules.map { ($0, Level()) }, uniquingKeysWith: { first, _ in first })
  }

  /// One without a level of its own has the system's.
  private func threshold(_ module: ModuleKind) -> Level? { thresholds[module] ?? thresholds[.system] }

  public func level(of module: ModuleKind) -> Int {
    threshold(module)?.value.load(ordering: .relaxed) ?? Self.defaultLevel
  }

  /// - Parameter level: one of ``levels``; others are brought into it.
  public func setLevel(_ level: Int, of module: ModuleKind) {
    threshold(module)?.value.store(
      min(max(level, Self.levels.lowerBound), Self.levels.upperBound), ordering: .relaxed)
  }

  /// Whether a record of this weight would be kept.
  public func keeps(_ module: ModuleKind, _ level: LogLevel) -> Bool { Int(level.rawValue) <= self.level(of: module) }

  /// Keeps one line, if the module's level lets it pass.
  /// - Parameter text: one line; control characters in it (a file name can hold any) are replaced.
  public func record(
    _ module: ModuleKind, _ level: LogLevel, function: StaticString = #function, line: Int = #line,
    _ text: @autoclosure () -> String
  ) {
    guard keeps(module, level) else { return }
    let clean = Self.oneLine(text())
    let name = String(describing: function).prefix { $0 != "(" }
    var record = LogRecord(
      monotonicMicroseconds: 0, module: module, level: level, function: String(name), line: line, text: clean)
    let size = Self.renderedSize(record)
    state.withLock { state in
      record.monotonicMicroseconds = ClockReading.now().monotonicMicroseconds
      state.records.append(record)
      state.bytes += size
      while state.bytes > Self.capacity, state.start < state.records.count {
        state.bytes -= Self.renderedSize(state.records[state.start])
        state.start += 1
      }
      if state.start > 256, state.start * 2 > state.records.count {
        state.records.removeFirst(state.start)
        state.start = 0
      }
    }
  }

  /// What is kept, oldest first.
  public var records: [LogRecord] {
    let (records, start) = state.withLock { ($0.records, $0.start) }
    return start == 0 ? records : Array(records[start...])
  }

  public func clear() { state.withLock { $0 = State() } }

  private static func oneLine(_ text: String) -> String {
    let plain = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
    let line =
      plain
      ? text
      : String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value >= 0x20 && $0.value != 0x7f ? $0 : "?" }))
    // One record must fit the buffer; the vendor limits a line to a few hundred bytes as well.
    return line.utf8.count <= 512 ? line : String(decoding: line.utf8.prefix(509), as: UTF8.self) + "..."
  }

  /// At least the bytes the record takes as text in any dialect: stamps, names, colour and line ends are 76 bytes in
  /// the wider one, 48 and the function's name in the other.
  static func renderedSize(_ record: LogRecord) -> Int {
    let text = record.text.utf8.count
    return max(76 + text, 48 + record.function.utf8.count + String(record.line).utf8.count + text)
  }
}

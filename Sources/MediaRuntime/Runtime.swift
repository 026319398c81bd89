// SPDX-License-Identifier: Apache-2.0
public import MediaCore
public import Reports

/// The media runtime: objects, their settings, and everything that can be asked about them. Knows nothing of files.
///
/// All methods may be called from any thread. None blocks on a device, a file or another caller's job, except
/// ``shutDown(milliseconds:)``.
public final class Runtime: Sendable {
  public struct Options: Sendable {
    /// Where our own tree is mounted, if it is: values that name a path inside are refused with ELOOP.
    public var mountPoint: String?
    /// After so long whoever made a change is told ETIMEDOUT, and what hangs goes on by itself. Shorter than the time after
    /// which the filesystem gives up on the writer, so that it hears the reason. Nanoseconds.
    public var patience: Int64
    public init(mountPoint: String? = nil, patience: Int64 = 1_800_000_000) {
      self.mountPoint = mountPoint
      self.patience = patience
    }
  }

  private let registry: EngineRegistry
  /// Every attribute of every kind of object, with the choices there are now.
  public var settingsTable: SettingsTable { registry.table }
  /// Refusals and failures. Whoever refuses something before it gets here (a text too long, a file that is only read)
  /// records it there too.
  public let errorLog: ErrorLog
  public let moduleLog: ModuleLog
  let administrator: Administrator

  public init(
    registry: EngineRegistry, factory: any ModuleFactory, errorLog: ErrorLog, moduleLog: ModuleLog,
    options: Options = Options()
  ) throws(Failure) {
    self.registry = registry
    self.errorLog = errorLog
    self.moduleLog = moduleLog
    self.administrator = Administrator(
      registry: registry, factory: factory, ownTree: OwnTree(mountPoint: options.mountPoint),
      errorLog: errorLog, moduleLog: moduleLog, patience: options.patience)
  }

  /// With the software and devices of `registry` and the objects of a graph that reports to `logs`.
  public convenience init(
    registry: EngineRegistry, graph: MediaGraph, logs: RuntimeLogs, options: Options = Options()
  ) throws(Failure) {
    try self.init(
      registry: registry, factory: graph, errorLog: logs.errors, moduleLog: logs.modules, options: options)
  }

  /// With software and devices that stay the same.
  public convenience init(
    catalogue: EngineCatalogue, graph: MediaGraph, logs: RuntimeLogs, options: Options = Options()
  ) throws(Failure) {
    try self.init(registry: EngineRegistry(catalogue), graph: graph, logs: logs, options: options)
  }

  // MARK: changing

  /// The only way to change anything: all changes or none.
  ///
  /// A refusal is in ``errorLog`` before `reply` is called, also when nobody waits any more.
  /// - Parameter reply: called exactly once; `nil` when the changes are made. On the caller's thread before `apply`
  ///   returns, unless a device or file has to be touched or somebody is just doing that to the same objects: then
  ///   from another thread. Must not block.
  public func apply(_ changes: [Change], reply: @escaping @Sendable (Refusal?) -> Void) {
    administrator.apply(Transaction(changes: changes), reply: reply)
  }

  /// Loads a configuration as ``configText()`` gives it, as one transaction. A refusal names the line and nothing has
  /// changed then.
  /// - Parameters:
  ///   - waits: objects that cannot be started are waited for, as for those that were lost while they ran, and keep
  ///     `enable`; only what is wrong in the text is refused.
  ///   - name: what refusals call it: `config`, or the file it came from.
  ///   - creates: objects that it names are made without a first line `create`, too.
  ///   - overriding: settings that take the place of the text's (a command-line option over the default file).
  public func loadConfig(
    _ text: [UInt8], name: String = "config", creates: Bool = true, overriding: [Change] = [], waits: Bool = false,
    reply: @escaping @Sendable (Refusal?) -> Void
  ) {
    var transaction: Transaction
    do throws(Refusal) {
      transaction = try ConfigText.parse(text, name: name, creates: creates, settingsTable)
    } catch {
      errorLog.record(error)
      reply(error)
      return
    }
    transaction.changes += overriding
    transaction.lines += overriding.map { _ in 0 }
    transaction.waits = waits
    administrator.apply(transaction, reply: reply)
  }

  /// Carries out what was written to the module log's node: `venc=3`, `all=5`, `clear`.
  public func logCommand(_ bytes: [UInt8], path: String = "vlog") throws(Refusal) {
    do throws(Refusal) {
      try moduleLog.command(bytes, path: path)
    } catch {
      errorLog.record(error)
      throw error
    }
  }

  // MARK: reading settings

  /// The whole configuration, loadable as it is.
  public func configText() -> [UInt8] {
    ConfigText.render(administrator.configuration, settingsTable, memoryLimit: administrator.memoryLimit)
  }

  /// The objects there are, in the order of the tree.
  public var objects: [ObjectIdentity] { administrator.objects }

  /// The settings of an object by key, in the order of `help`, as their files read back; `nil` when it is gone.
  public func settings(of path: ObjectPath) -> [KeyValue]? {
    guard let values = administrator.settings(of: path) else { return nil }
    return settingsTable.settings(path.type).map { KeyValue(key: $0.key, value: values[$0.key].text($0.type)) }
  }

  /// One setting's canonical text without a newline; `nil` when the object is gone or has no such setting.
  public func setting(_ path: ObjectPath, _ key: String) -> String? {
    guard let values = administrator.settings(of: path) else { return nil }
    return settingsTable.text(path.type, key, values)
  }

  /// What `help` says about every attribute of every kind of object.
  public func help() -> [SettingHelp] { settingsTable.help }

  /// Calls back when objects came or went: every change once, in order, one call at a time, before the one who made
  /// the change is answered. The callback may read from the runtime; it must not block. At most one listener.
  public func objectsChanged(_ listener: @escaping @Sendable (ObjectsChange) -> Void) {
    administrator.announcements.listen(listener)
  }

  /// Calls back when there are other engines than before, since devices came or went. At most one listener; it may read from
  /// the runtime and must not block.
  public func enginesChanged(_ listener: @escaping @Sendable () -> Void) { registry.onReplace(listener) }

  // MARK: the end

  /// Refuses further changes, stops everything in order, ends all streams.
  /// - Returns: false when something did not stop in time; the process may exit all the same.
  public func shutDown(milliseconds: Int) -> Bool { administrator.shutDown(milliseconds: milliseconds) }

  /// What ``shutDown(milliseconds:)`` still waits for.
  public var unended: [ObjectPath] { administrator.unended }
}

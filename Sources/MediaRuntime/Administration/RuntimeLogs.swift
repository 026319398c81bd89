// SPDX-License-Identifier: Apache-2.0
public import MediaCore
public import Reports

/// Where the graph's news go: its lines into the module log, what failed unasked into the error log. Made before the
/// graph and given to both it and the runtime.
public final class RuntimeLogs: GraphListener {
  public let errors: ErrorLog
  public let modules: ModuleLog

  public init(errors: ErrorLog = ErrorLog(), modules: ModuleLog = ModuleLog()) {
    self.errors = errors
    self.modules = modules
  }

  public func log(_ module: ModuleKind, _ level: LogLevel, _ text: String, function: StaticString, line: Int) {
    modules.record(module, level, function: function, line: line, text)
  }

  public func failed(_ path: ObjectPath, _ failure: Failure) { errors.record(failure, path: path.description) }

  public func refused(_ refusal: Refusal) { errors.record(refusal) }
}

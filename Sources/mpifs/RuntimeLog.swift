// SPDX-License-Identifier: Apache-2.0
import MediaCore
import MediaRuntime
import Reports

/// Brings what happens in the graph into the logs that the tree shows.
final class RuntimeLog: GraphListener {
  let errors = ErrorLog()
  let modules = ModuleLog()

  func log(_ module: ModuleKind, _ level: LogLevel, _ text: String, function: StaticString, line: Int) {
    modules.record(module, level, function: function, line: line, text)
  }

  func failed(_ path: ObjectPath, _ failure: Failure) {
    errors.record(failure, path: path.description)
  }
}

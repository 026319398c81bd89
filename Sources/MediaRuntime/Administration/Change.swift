// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// One wish to change the runtime. Values are the bytes as they were written: the settings table parses them.
public enum Change: Sendable, Equatable {
  /// Makes an object, stopped and with the default settings.
  case create(ObjectPath)
  /// Removes an object that is stopped and feeds nobody.
  case remove(ObjectPath)
  /// Writes a setting.
  case set(ObjectPath, String, [UInt8])
  /// Gives a command such as `idr`; alone in its transaction, since a command cannot be taken back.
  case command(ObjectPath, String, [UInt8])

  /// A setting by text.
  public static func set(_ path: ObjectPath, _ key: String, _ text: String) -> Change {
    .set(path, key, Array(text.utf8))
  }

  public var path: ObjectPath {
    switch self {
    case .create(let path), .remove(let path), .set(let path, _, _), .command(let path, _, _): path
    }
  }
}

/// Changes that are made together or not at all.
struct Transaction: Sendable {
  var changes: [Change]
  /// Where each change stands in a configuration text; empty when it did not come from one.
  var lines: [Int] = []
  /// What refusals call the text: `config`, or the file it came from.
  var name = "config"
  /// A configuration that says so: objects that are named are made.
  var createsNamed = false
  /// A configuration that starts with `replace`: objects that are not named are removed.
  var removesOthers = false
  /// What cannot be started is waited for instead of being refused: the configuration of the start.
  var waits = false
  /// What `memory_limit` is to be; `nil` where it is not named.
  var memoryLimit: SettingValue?
}

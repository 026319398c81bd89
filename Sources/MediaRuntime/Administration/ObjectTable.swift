// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The objects there are, each with the settings that were asked of it. A value: a transaction is planned on it without
/// changing it.
struct ObjectTable {
  struct Entry {
    let object: any ModuleObject
    var settings: ObjectSettings
    /// What the object was given of them: the default for what means nothing beside the others.
    var used: ObjectSettings
    var isEnabled: Bool { settings.flag("enable") }
    var source: ObjectPath? { settings.object("source") }
  }

  var entries: [ObjectPath: Entry] = [:]
  /// What was asked of `memory_limit`.
  var memoryLimit = SettingValue.none
}

/// What a transaction would do, found without doing it (except that new objects are made, which is cheap and without
/// effect until they are in the table).
struct Plan {
  struct Update {
    let path: ObjectPath
    let object: any ModuleObject
    /// What is asked then.
    let asked: ObjectSettings
    /// What the object was given, and is given then.
    let old: ObjectSettings
    let new: ObjectSettings
    let changed: Set<String>
  }
  struct Rebinding {
    let receiver: ObjectPath
    let old: ObjectPath?
    let new: ObjectPath?
  }

  /// A control of a running device to be set.
  struct ControlChange {
    let object: any ModuleObject
    let name: String
    let value: ControlValue
    let written: [UInt8]
    let isKept: Bool
  }

  /// What a running object has to read before it takes its new settings.
  struct Preparation {
    let object: any ModuleObject
    let settings: ObjectSettings
    let changed: Set<String>
  }

  /// `memory_limit` before and after, where it changes.
  var memoryLimit: (old: SettingValue, new: SettingValue)?
  var created: [any ModuleObject] = []
  var removed: [ObjectPath] = []
  var updates: [Update] = []
  var rebindings: [Rebinding] = []
  /// Some bindings only fit when the old ones are gone: all receivers are unbound before any is bound.
  var unbindsFirst = false
  var preparations: [Preparation] = []
  var controls: [ControlChange] = []
  var command: (object: any ModuleObject, key: String, argument: String)?
  /// Objects to stop and to start, each in the order in which it has to be done.
  var stops: [ObjectPath] = []
  var starts: [ObjectPath] = []
  /// Objects that had failed before; when the transaction fails there is nothing to go back to for them.
  var failedBefore: Set<ObjectPath> = []
  /// Objects that are waited for, and go on being so when they cannot be started with other settings either.
  var waits: Set<ObjectPath> = []

  /// Whether devices or files are touched, so that a job has to do it.
  var needsControl: Bool {
    !stops.isEmpty || !starts.isEmpty || !preparations.isEmpty || !controls.isEmpty
      || command.map { $0.object.touchesDevice($0.key) } ?? false
  }
}

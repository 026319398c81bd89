// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage

/// Checks a transaction as a whole against the objects there are. Everything that can be refused without touching a
/// device is refused here, before anything has changed.
struct Planner {
  let settingsTable: SettingsTable
  let factory: any ModuleFactory
  let ownTree: OwnTree
  let table: ObjectTable
  /// Objects an earlier plan of the same transaction has made; they are claimed by it, so nobody else has.
  let made: [ObjectPath: any ModuleObject]

  var written: [ObjectPath: [String: SettingValue]] = [:]
  var bytes: [String: [UInt8]] = [:]
  var present: Set<ObjectPath>
  private var created: [ObjectPath] = []
  var removed: [ObjectPath] = []
  /// The settings objects will have, as far as they have been found: groups before their parts.
  var found: [ObjectPath: ObjectSettings] = [:]

  init(
    settingsTable: SettingsTable, factory: any ModuleFactory, ownTree: OwnTree, table: ObjectTable,
    made: [any ModuleObject] = []
  ) {
    self.settingsTable = settingsTable
    self.factory = factory
    self.ownTree = ownTree
    self.table = table
    self.made = Dictionary(made.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
    self.present = Set(table.entries.keys)
  }

  /// - Throws: the first thing that is wrong; objects made for the plan are retired then.
  mutating func plan(_ transaction: Transaction) throws(Refusal) -> Plan {
    if case .command(let path, let key, let value)? = transaction.changes.first {
      return try planCommand(path, key, value, isAlone: transaction.changes.count == 1)
    }
    for (position, change) in transaction.changes.enumerated() {
      do throws(Refusal) {
        try take(change, createsNamed: transaction.createsNamed, isText: !transaction.lines.isEmpty)
      } catch {
        for object in made.values { object.retire() }
        throw located(error, transaction, position)
      }
    }
    if transaction.removesOthers { takeRemovalOfOthers(transaction) }
    var plan = Plan()
    // What a replacement does not name goes back to what it is by itself.
    if let limit = transaction.memoryLimit ?? (transaction.removesOthers ? SettingValue.none : nil),
      limit != table.memoryLimit
    {
      plan.memoryLimit = (table.memoryLimit, limit)
    }
    do throws(Refusal) {
      try complete(&plan)
    } catch {
      for object in plan.created { object.retire() }
      for object in made.values where !plan.created.contains(where: { $0 === object }) { object.retire() }
      throw located(error, transaction, nil)
    }
    return plan
  }

  /// The refusal with the line of a configuration it is about.
  func located(_ refusal: Refusal, _ transaction: Transaction, _ position: Int?) -> Refusal {
    guard !transaction.lines.isEmpty else { return refusal }
    let found =
      position
      ?? transaction.changes.lastIndex {
        if case .set(let path, let key, _) = $0 { return "\(path)/\(key)" == refusal.path }
        return false
      }
      ?? transaction.changes.lastIndex { refusal.path == $0.path.description || refusal.path.hasPrefix("\($0.path)/") }
    guard let found, found < transaction.lines.count, transaction.lines[found] > 0 else { return refusal }
    var named = refusal
    named.path = transaction.name
    named.reason = "line \(transaction.lines[found]): \(refusal.path): \(refusal.reason)"
    return named
  }

  // MARK: one change after the other

  private mutating func take(_ change: Change, createsNamed: Bool, isText: Bool) throws(Refusal) {
    switch change {
    case .create(let path):
      try takeCreation(path)
    case .remove(let path):
      guard present.remove(path) != nil else { throw missing(path) }
      guard !created.contains(path) else {
        throw Refusal(.invalidArgument, path: path.description, reason: "is made and removed at once")
      }
      removed.append(path)
    case .set(let path, let key, let value):
      if !present.contains(path) {
        guard createsNamed else { throw missing(path, key: key, value: value, isText: isText) }
        if path.isPart, !present.contains(path.group) { try takeCreation(path.group) }
        try takeCreation(path)
      }
      let attribute = settingsTable.attribute(path.type, key)
      guard attribute?.kind != .command else {
        throw Refusal(
          .invalidArgument, path: "\(path)/\(key)", value: value, reason: "is a command, not a setting",
          hint: "write it to the file of this name")
      }
      let parsed = try settingsTable.parse(path, key, value)
      if attribute?.type == .input || attribute?.type == .codedInput, case .text(let text) = parsed {
        try checkInput("\(path)/\(key)", text, value)
      }
      written[path, default: [:]][key] = parsed
      bytes["\(path)/\(key)"] = value
    case .command(let path, let key, let value):
      throw Refusal(
        .invalidArgument, path: "\(path)/\(key)", value: value,
        reason: "is a command and cannot stand beside other changes")
    }
  }

  private mutating func takeCreation(_ path: ObjectPath) throws(Refusal) {
    guard settingsTable.isName(path) else {
      if let range = settingsTable.numbering(path.description) {
        throw Refusal(.outOfRange, path: path.description, reason: "is out of range", hint: range)
      }
      throw Refusal(.invalidArgument, path: path.description, reason: "not a name of an object")
    }
    guard !settingsTable.attributes(path.type).isEmpty else {
      throw Refusal(
        .notSupported, path: path.description, reason: "this build makes no \(path.kind) objects",
        hint: "there are: \(settingsTable.types.map(\.pattern).joined(separator: " "))")
    }
    guard !path.isPart || present.contains(path.group) else {
      throw Refusal(
        .noSuchFileOrDirectory, path: path.description, reason: "there is no \(path.group)",
        hint: "make \(path.group) first")
    }
    guard !removed.contains(path) else {
      throw Refusal(.fileExists, path: path.description, reason: "is being removed in the same transaction")
    }
    guard present.insert(path).inserted else {
      throw Refusal(.fileExists, path: path.description, reason: "exists already")
    }
    created.append(path)
  }

  private mutating func takeRemovalOfOthers(_ transaction: Transaction) {
    var named = Set(transaction.changes.map(\.path))
    named.formUnion(named.map(\.group))
    // Outputs before their group.
    for path in present.subtracting(named).sorted(by: { settingsTable.precedes($1, $0) }) {
      present.remove(path)
      removed.append(path)
      // A replacement may stop and unbind what it removes; a plain removal may not.
      if settingsTable.attribute(path.type, "enable") != nil { written[path] = ["enable": .boolean(false)] }
      if settingsTable.attribute(path.type, "source") != nil {
        written[path, default: [:]]["source"] = SettingValue.none
      }
    }
  }

  func missing(
    _ path: ObjectPath, key: String? = nil, value: [UInt8] = [], isText: Bool = false
  ) -> Refusal {
    let name = key.map { "\(path)/\($0)" } ?? path.description
    return Refusal(
      .noSuchFileOrDirectory, path: name, value: value, reason: "there is no \(path)",
      hint: isText ? "mkdir makes one, and so does a text whose first line is create" : "mkdir makes one")
  }

  private func checkInput(_ path: String, _ text: String, _ value: [UInt8]) throws(Refusal) {
    guard let input = InputSpecification(text) else { return }
    let known = settingsTable.catalogue.sources
    guard known.contains(where: { $0.handles(input) }) else {
      let kind =
        switch input {
        case .pattern: "the test pattern"
        case .file: "media files"
        case .device: "capture devices"
        }
      throw Refusal(.notSupported, path: path, value: value, reason: "this build does not read \(kind)")
    }
    try ownTree.checkLexically(input, path: path, value: value)
  }

  // MARK: the whole

  private mutating func complete(_ plan: inout Plan) throws(Refusal) {
    try checkRemovals()
    plan.removed = removed
    for path in removed where written[path]?["source"] == nil && table.entries[path]?.source != nil {
      written[path, default: [:]]["source"] = SettingValue.none
    }
    try checkAttachments()
    for path in created {
      if let object = made[path] {
        plan.created.append(object)
      } else {
        plan.created.append(try factory.make(path, settings: settingsTable.defaults(path.type)))
      }
    }
    // What is a part is asked again where what it is a part of changes.
    let parts = present.filter { $0.isPart && written[$0.group] != nil }
    for path in Set(written.keys).union(created).union(parts).sorted(by: settingsTable.precedes) {
      try update(path, &plan)
    }
    try bind(&plan)
    try checkPools(&plan)
    plan.stops.sort(by: settingsTable.runsBefore)
    // Who takes buffers has stopped before what gives them does.
    plan.stops = plan.stops.filter { !givesBuffers($0) } + plan.stops.filter { givesBuffers($0) }
    plan.starts.sort(by: settingsTable.runsBefore)
  }

  private mutating func update(_ path: ObjectPath, _ plan: inout Plan) throws(Refusal) {
    let entry = table.entries[path]
    guard let object = entry?.object ?? plan.created.first(where: { $0.path == path }) else { return }
    let asked = entry?.settings ?? settingsTable.defaults(path.type)
    let old = entry?.used ?? asked
    let wanted = written[path] ?? [:]
    var (newAsked, new): (ObjectSettings, ObjectSettings)
    do throws(Refusal) {
      (newAsked, new) = try settingsTable.settings(
        path, from: asked, used: old, writing: wanted,
        beside: path.isPart
          ? found[path.group] ?? table.entries[path.group]?.used ?? ObjectSettings() : ObjectSettings())
    } catch {
      throw withBytes(error)
    }
    found[path] = new
    let wasEnabled = entry?.isEnabled ?? false
    let isEnabled = new.flag("enable")
    let needsRestart = settingsTable.settings(path.type).filter {
      $0.change == .restart && new[$0.key] != old[$0.key]
    }
    // Who writes `enable` too has said that the object may be started anew: a whole configuration can be loaded over
    // a running one.
    let isRetried = wasEnabled && wanted["enable"] == .boolean(true) && object.hasFailed
    let restarts = wasEnabled && isEnabled && (!needsRestart.isEmpty || isRetried)
    // What waits for a file or device does not run: it waits for another one then.
    if wasEnabled, isEnabled, object.isAwaiting { plan.waits.insert(path) }
    if restarts, wanted["enable"] == nil, !object.isAwaiting, let first = needsRestart.first {
      let key = needsRestart.first { wanted[$0.key] != nil }?.key ?? first.key
      throw withBytes(
        Refusal(
          .resourceBusy, path: "\(path)/\(key)", reason: "cannot change while \(path) is running",
          hint: "stop it first: echo 0 > \(path)/enable"))
    }
    if wasEnabled, isEnabled, !restarts {
      try takeControls(of: object, wanted, &new, &plan)
      for key in wanted.keys where ControlKey.name(in: key) != nil { newAsked[key] = new[key] }
    }
    let changed = new.changes(from: old)
    if newAsked != asked || new != old {
      // Who leaves is not asked whether the rest is in order.
      let leaves = !isEnabled && changed.isSubset(of: ["enable", "source"])
      if !leaves {
        do throws(Refusal) {
          try object.check(new, changed: changed, running: wasEnabled && isEnabled && !restarts)
        } catch {
          throw withBytes(error)
        }
      }
      plan.updates.append(
        Plan.Update(path: path, object: object, asked: newAsked, old: old, new: new, changed: changed))
    }
    if wasEnabled, isEnabled, !restarts,
      settingsTable.settings(path.type).contains(where: { $0.change == .prepared && new[$0.key] != old[$0.key] })
    {
      plan.preparations.append(Plan.Preparation(object: object, settings: new, changed: changed))
    }
    if wasEnabled, !isEnabled || restarts {
      plan.stops.append(path)
      if object.hasFailed { plan.failedBefore.insert(path) }
    }
    if isEnabled, !wasEnabled || restarts { plan.starts.append(path) }
    if old.object("source") != new.object("source") {
      plan.rebindings.append(
        Plan.Rebinding(receiver: path, old: old.object("source"), new: new.object("source")))
    }
  }

  /// What is written to the controls of a device that runs is checked with what the device said of them; for others the
  /// text is kept until the device is opened.
  private func takeControls(
    of object: any ModuleObject, _ wanted: [String: SettingValue], _ new: inout ObjectSettings, _ plan: inout Plan
  ) throws(Refusal) {
    for key in wanted.keys.sorted() {
      guard let name = ControlKey.name(in: key) else { continue }
      let path = "\(object.path)/\(key)"
      let written = bytes[path] ?? []
      guard let control = object.controls?.control(name) else {
        throw Refusal(
          .noSuchFileOrDirectory, path: path, value: written, reason: "the device has no such control",
          hint: "\(object.path)/controls/help lists those it has")
      }
      guard !control.isWriteOnly else {
        throw Refusal(
          .invalidArgument, path: path, value: written, reason: "is a command, not a setting",
          hint: "write it to the file of this name")
      }
      // Nothing written gives the control up: it goes back to its default and leaves the configuration.
      let isKept = wanted[key] != SettingValue.none
      let value: ControlValue
      if isKept {
        value = try control.parse(written, path: path)
        new[key] = .text(control.text(value))
      } else {
        value = control.kind == .string ? try control.parse(written, path: path) : .number(control.defaultValue)
      }
      plan.controls.append(
        Plan.ControlChange(object: object, name: name, value: value, written: written, isKept: isKept))
    }
  }

  /// The refusal with the bytes that were written, where the one who refused did not know them.
  func withBytes(_ refusal: Refusal) -> Refusal {
    guard let value = bytes[refusal.path] else { return refusal }
    var full = refusal
    full.value = value
    return full
  }

  private func checkRemovals() throws(Refusal) {
    for path in removed {
      guard let entry = table.entries[path] else { continue }
      func busy(_ reason: String, _ hint: String, _ errno: Errno = .resourceBusy) -> Refusal {
        Refusal(errno, path: path.description, reason: reason, hint: hint)
      }
      let staysEnabled = written[path]?["enable"].map { $0 == .boolean(true) } ?? entry.isEnabled
      if staysEnabled { throw busy("is running", "stop it first: echo 0 > \(path)/enable") }
      let users = table.entries.keys.filter {
        table.entries[$0]?.source == path && !removed.contains($0) && finalSource($0) == path
      }
      if let user = users.min(by: settingsTable.precedes) {
        throw busy("gives its frames to \(user)", "unbind that first: echo > \(user)/source")
      }
      let takers = table.entries.keys.filter { !removed.contains($0) && finalPool($0) == path }
      if let taker = takers.min(by: settingsTable.precedes) {
        throw busy("gives its buffers to \(taker)", "let that have its own first: echo > \(taker)/pool")
      }
      let parts = present.filter { $0 != path && $0.group == path }.sorted(by: settingsTable.precedes)
      if let output = parts.first(where: { $0.output != nil }) {
        throw busy("still has \(output)", "remove that first: rmdir \(output)", .directoryNotEmpty)
      }
      if let first = parts.first {
        let targets = parts.compactMap(\.target).map(\.description).joined(separator: ", ")
        throw busy("is attached to \(targets)", "detach it first: rmdir \(first)")
      }
      let attached = present.filter { $0.target == path }.sorted(by: settingsTable.precedes)
      if let first = attached.first {
        let owners = attached.map(\.group.description).joined(separator: ", ")
        throw busy("has \(owners) attached", "detach that first: rmdir \(first)")
      }
    }
  }

  /// What is attached is attached to something that is there and can show it.
  private func checkAttachments() throws(Refusal) {
    for path in created {
      guard let target = path.target else { continue }
      guard settingsTable.module(target.type)?.takesRegions ?? false else {
        throw Refusal(
          .notSupported, path: path.description, reason: "nothing can be attached to \(target)",
          hint: settingsTable.naming(path.type))
      }
      guard present.contains(target) else {
        throw Refusal(
          .noSuchFileOrDirectory, path: path.description, reason: "there is no \(target)",
          hint: "mkdir \(target) makes it")
      }
    }
  }

  private func finalSource(_ path: ObjectPath) -> ObjectPath? {
    if case .object(let source)? = written[path]?["source"] { return source }
    if written[path]?["source"] != nil { return nil }
    return table.entries[path]?.source
  }

  // MARK: binding

  private func bind(_ plan: inout Plan) throws(Refusal) {
    for change in plan.rebindings {
      guard let source = change.new else { continue }
      func refusal(_ errno: Errno, _ reason: String, _ hint: String) -> Refusal {
        withBytes(
          Refusal(
            errno, path: "\(change.receiver)/source", value: Array(source.description.utf8), reason: reason, hint: hint)
        )
      }
      guard present.contains(source) else {
        throw refusal(.noSuchFileOrDirectory, "there is no \(source)", "mkdir \(source) makes it")
      }
      if let loop = chain(from: source, to: change.receiver.group, sources: finalSource) {
        throw withBytes(.loop(change.receiver, loop, value: Array(source.description.utf8)))
      }
      do throws(Refusal) {
        try factory.checkBinding(receiver: change.receiver, source: source)
      } catch {
        throw withBytes(error)
      }
      // With the bindings as they are now this one would close a loop that the rest of the transaction opens.
      if chain(from: source, to: change.receiver.group, sources: { table.entries[$0]?.source }) != nil {
        plan.unbindsFirst = true
      }
    }
  }

  /// The way from a source up to an object it gets its frames from, or `nil` when there is none.
  private func chain(
    from source: ObjectPath, to target: ObjectPath, sources: (ObjectPath) -> ObjectPath?
  ) -> [ObjectPath]? {
    var way = [target]
    var next: ObjectPath? = source
    // No chain is longer than the number of objects; the bound keeps a mistake from turning into a hang.
    for _ in 0...present.count {
      guard let here = next else { return nil }
      way.append(here)
      if here.group == target { return way }
      next = sources(here.group)
    }
    return nil
  }
}

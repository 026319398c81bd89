// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// What the administration (settings, transactions, control lanes) needs of an object of the graph: a `vi`
/// channel, a `vpss` group, one of its outputs, a `venc` channel.
///
/// Ownership: the runtime's object table holds each object strongly until it is removed. The frame path holds what it
/// needs by itself.
///
/// Order of calls: `check` any number of times on a writer's thread; then, all checks of a transaction passed,
/// `commit`; `start`/`stop` on the object's control lane only, never two at once for one object. `cancelStart` and `awaits`
/// at any time.
public protocol ModuleObject: AnyObject, Sendable {
  var path: ObjectPath { get }
  /// Distinguishes objects that had the same path one after the other; unique in the process.
  var generation: UInt64 { get }

  /// Whether the settings are possible, without device I/O and without side effects. Ranges and types have been
  /// checked against the settings table already; this is for what only the module knows (engine capabilities, a
  /// profile the engine lacks, an impossible pair of settings, what cannot change while running).
  /// - Parameter running: whether the object is started and stays so.
  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal)

  /// Takes over settings that passed `check`. Must not fail and not block: what is live takes effect at the next
  /// frame. Called under the administration's lock, never by a frame-path thread.
  func commit(_ new: ObjectSettings, changed: Set<String>)

  /// Reads or opens what settings that change on ``Attribute/Change/prepared`` terms need, and keeps it for their `commit`. On the
  /// object's control lane, while the object goes on as it is; may do I/O.
  /// - Throws: why it cannot be had; the settings are not taken over then.
  func prepare(_ new: ObjectSettings, changed: Set<String>) throws(Failure)

  /// The object belongs to the graph from now on. Called once, with the settings it has then committed; what it does to others
  /// begins here. Must not fail and not block.
  func enter()

  /// Makes the object run: opens inputs and engines. On the object's control lane; may do I/O.
  /// - Throws: what the device or library said; the object is stopped then and `enable` is rolled back.
  func start() throws(Failure)

  /// Stops it and gives back what `start` took. On the object's control lane. Streams end after their last packet.
  func stop()

  /// Nobody wants the object started any more: a `start` that waits for a file or device comes back with ECANCELED, as
  /// far as the object can.
  func cancelStart()

  /// What the administration waits for on behalf of the object, for `state` and `health`; `nil` when for nothing.
  /// - Parameter since: CLOCK_MONOTONIC nanoseconds.
  func awaits(_ what: String?, since: Int64)
  var isAwaiting: Bool { get }

  /// Whether it was started and has failed since, or come to its end: writing `enable` again then starts it
  /// anew instead of changing nothing.
  var hasFailed: Bool { get }

  /// A command attribute, such as `idr`. No I/O, unless ``touchesDevice(_:)`` says so.
  func perform(_ command: String, argument: String) throws(Refusal)

  /// Whether a command does I/O and so is carried out on the object's control lane.
  func touchesDevice(_ command: String) -> Bool

  /// The controls of the device it runs on; `nil` while it runs on none. No I/O.
  var controls: (any ControlSurface)? { get }

  /// Sets a control of the device it runs on, or presses a button. On the object's control lane; may do I/O.
  /// - Parameters:
  ///   - written: what the writer wrote, for refusals and for the log.
  ///   - isKept: it belongs to the configuration: set again whenever the device is opened.
  /// - Throws: what the device said.
  func setControl(_ name: String, _ value: ControlValue, written: [UInt8], isKept: Bool) throws(Refusal)

  /// The object is being removed for good: open streams end with ENODEV. After `stop`.
  func retire()
}

extension ModuleObject {
  public func prepare(_ new: ObjectSettings, changed: Set<String>) throws(Failure) {}
  public func enter() {}
  public var hasFailed: Bool { false }
  public func cancelStart() {}
  public func awaits(_ what: String?, since: Int64) {}
  public var isAwaiting: Bool { false }
  public func touchesDevice(_ command: String) -> Bool { false }
  public var controls: (any ControlSurface)? { nil }
  public func setControl(_ name: String, _ value: ControlValue, written: [UInt8], isKept: Bool) throws(Refusal) {
    throw Refusal(
      .noSuchFileOrDirectory, path: "\(path)/\(ControlKey.key(name))", value: written, reason: "has no controls")
  }
}

/// Makes the objects; implemented by the modules, used by the administration. Objects are made stopped, with the
/// default settings, and are cheap: no I/O.
public protocol ModuleFactory: Sendable {
  /// - Throws: ENOSPC when there are no more channels, ENOTSUP for a class that is not built.
  func make(_ path: ObjectPath, settings: ObjectSettings) throws(Refusal) -> any ModuleObject

  /// Connects a receiver to a source, or to nothing. No I/O; the swap happens between two frames.
  /// - Throws: impossible pair. Loops are the planner's to find: only it sees a transaction's other bindings.
  func checkBinding(receiver: ObjectPath, source: ObjectPath?) throws(Refusal)
  func bind(receiver: ObjectPath, source: ObjectPath?)

  /// A transaction begins to start objects, or has started them: what gives frames waits for what takes them.
  func starting(_ isOn: Bool)

  /// A transaction begins to hand over settings and bindings, or has handed over all: what depends on several objects is made
  /// once it has.
  func changing(_ isOn: Bool)

  /// Bounds what objects may ask for; `nil` is what the program began with.
  func limitMemory(to bytes: Int?)

  /// Whoever opens an input has it checked right before, on the thread that opens it: the check looks at links, and may
  /// hang as the file may.
  func guardInputs(_ check: @escaping @Sendable (InputSpecification) throws(Failure) -> Void)
}

extension ModuleFactory {
  public func changing(_ isOn: Bool) {}
  public func limitMemory(to bytes: Int?) {}
}

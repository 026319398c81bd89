// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// A class of objects: all that settings, tree, graph, administration and log need to know of it. Each module declares its own,
/// in its folder; ``Modules`` has the list. Nothing outside a module's folder names it.
struct ModuleClass: Sendable {
  /// What its objects are, and how one is made.
  enum Make: Sendable {
    typealias Channel =
      @Sendable (Node, ObjectSettings, Environment, _ group: (any MediaRuntime.Channel)?) throws(Refusal) ->
      any MediaRuntime.Channel
    typealias Fitting =
      @Sendable (ObjectIdentity, ObjectSettings, Environment, _ group: (any MediaRuntime.Fitting)?) throws(Refusal) ->
      any MediaRuntime.Fitting

    /// A node of the graph. The group is the channel it is a part of, for outputs.
    ///
    /// Throws ENOENT when that is not there.
    case channel(Channel)
    /// No frames come to it: it has no node.
    case fitting(Fitting)
  }

  /// Numbers of a class that does not say otherwise.
  static let usualNumbers = 0...63

  /// First part of its objects' paths, which is also whose log level decides about their lines and what the vendor's pages
  /// call their nodes.
  let type: ObjectType
  /// Numbers its objects can have.
  let numbers: ClosedRange<Int>
  /// Place in the chain from inputs to encoders. Stopping goes along it so that what follows can run empty. Starting
  /// too: an encoder that is started after its input knows what frames will come, opens its engine at once, and so
  /// fails while the transaction can still be taken back.
  let stage: Int
  /// It is bound to a source.
  let takesFrames: Bool
  /// Receivers are bound to it; the text is how a hint calls one: `an input such as vi/0`.
  let givesFrames: String?
  /// Regions can be attached to it: its pictures pass its ``PaintStage``.
  let takesRegions: Bool
  /// Others can take the buffers of their pictures from it.
  let givesBuffers: Bool
  /// Frames wait in front of its channels; else they are worked on by whoever brings them, or none come.
  let hasQueue: Bool
  /// Its attributes in the order of `help` and `config`: `source` and `enable` come last of the settings, so that a
  /// configuration read from the top starts things only when all else is set. None where this build or machine cannot make it.
  let rows: @Sendable (CommonRows) -> [Attribute]
  /// Moves what nobody wrote and what follows from the rest, before each row is asked whether it still means something.
  /// - Returns: false where the settings are to stay as they are now, unchecked.
  let settle: @Sendable (inout SettingsChange) -> Bool
  /// What its settings mean for each other, and beside those of what they are a part of: rules that a single value cannot
  /// break, only a set of them.
  let check: @Sendable (inout SettingsChange) throws(Refusal) -> Void
  /// What kind of device its objects run on whose controls they have besides their attributes; `nil` where there is none.
  let controlled: @Sendable (EngineCatalogue) -> String?
  let make: Make

  /// A class of nodes.
  init(
    type: ObjectType, numbers: ClosedRange<Int> = ModuleClass.usualNumbers, stage: Int, takesFrames: Bool = false,
    givesFrames: String? = nil, takesRegions: Bool = false, hasQueue: Bool = false,
    rows: @escaping @Sendable (CommonRows) -> [Attribute],
    settle: @escaping @Sendable (inout SettingsChange) -> Bool = { _ in true },
    check: @escaping @Sendable (inout SettingsChange) throws(Refusal) -> Void = { _ in },
    controlled: @escaping @Sendable (EngineCatalogue) -> String? = { _ in nil }, make: @escaping Make.Channel
  ) {
    self.type = type
    self.numbers = numbers
    self.stage = stage
    self.takesFrames = takesFrames
    self.givesFrames = givesFrames
    self.takesRegions = takesRegions
    self.hasQueue = hasQueue
    givesBuffers = false
    self.rows = rows
    self.settle = settle
    self.check = check
    self.controlled = controlled
    self.make = .channel(make)
  }

  /// A class of what is fitted to nodes.
  init(
    fitting type: ObjectType, numbers: ClosedRange<Int> = ModuleClass.usualNumbers, stage: Int,
    givesBuffers: Bool = false,
    rows: @escaping @Sendable (CommonRows) -> [Attribute],
    check: @escaping @Sendable (inout SettingsChange) throws(Refusal) -> Void = { _ in }, make: @escaping Make.Fitting
  ) {
    self.type = type
    self.numbers = numbers
    self.stage = stage
    takesFrames = false
    givesFrames = nil
    takesRegions = false
    hasQueue = false
    self.givesBuffers = givesBuffers
    self.rows = rows
    settle = { _ in true }
    self.check = check
    controlled = { _ in nil }
    self.make = .fitting(make)
  }
}

// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// A class of objects: all that settings, tree, graph, administration and log need to know of it. Each module declares its own,
/// in its folder; ``Modules`` has the list. Nothing outside a module's folder names it.
struct ModuleClass: Sendable {
  typealias Make =
    @Sendable (Node, ObjectSettings, Environment, _ group: (any Channel)?) throws(Refusal) -> any Channel

  /// First part of its objects' paths, which is also whose log level decides about their lines and what the vendor's pages
  /// call their nodes.
  let type: ObjectType
  /// Numbers its objects can have.
  var numbers = ObjectPath.numbers
  /// Place in the chain from inputs to encoders. Stopping goes along it so that what follows can run empty. Starting
  /// too: an encoder that is started after its input knows what frames will come, opens its engine at once, and so
  /// fails while the transaction can still be taken back.
  let stage: Int
  /// It is bound to a source.
  var takesFrames = false
  /// Receivers are bound to it; the text is how a hint calls one: `an input such as vi/0`.
  var givesFrames: String?
  /// Frames wait in front of its channels; else they are worked on by whoever brings them, or none come.
  var hasQueue = false
  /// Its attributes in the order of `help` and `config`: `source` and `enable` come last of the settings, so that a
  /// configuration read from the top starts things only when all else is set. None where this build or machine cannot make it.
  let rows: @Sendable (CommonRows) -> [Attribute]
  /// Moves what nobody wrote and what follows from the rest, before each row is asked whether it still means something.
  /// - Returns: false where the settings are to stay as they are now, unchecked.
  var settle: @Sendable (inout SettingsChange) -> Bool = { _ in true }
  /// What its settings mean for each other: rules that a single value cannot break, only a set of them.
  var check: @Sendable (inout SettingsChange) throws(Refusal) -> Void = { _ in }
  /// What kind of device its objects run on whose controls they have besides their attributes; `nil` where there is none.
  var controlled: @Sendable (EngineCatalogue) -> String? = { _ in nil }
  /// The group is the channel it is a part of, for outputs.
  ///
  /// Throws ENOENT when that is not there.
  let make: Make
}

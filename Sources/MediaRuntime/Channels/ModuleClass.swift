// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
import SystemPackage

/// A kind of channel: what the graph, the administration and the log need to know of it. Each module declares its own, in its
/// folder; ``Modules`` has the list. Nothing outside a module's folder names it.
struct ModuleClass: Sendable {
  let type: ObjectType
  /// Whose log level decides about its lines, and whose node the vendor's pages show.
  let log: ModuleKind
  /// Place in the chain from inputs to encoders. Stopping goes along it so that what follows can run empty. Starting
  /// too: an encoder that is started after its input knows what frames will come, opens its engine at once, and so
  /// fails while the transaction can still be taken back.
  let stage: Int
  /// It is bound to a source.
  let takesFrames: Bool
  /// Receivers are bound to it; the text is how a hint calls one: `an input such as vi/0`.
  let givesFrames: String?
  /// Frames wait in front of its channels; else they are worked on by whoever brings them, or none come.
  let hasQueue: Bool
  /// - Parameter group: the channel it is a part of, for outputs.
  /// - Throws: ENOENT when that is not there.
  let make: @Sendable (Node, ObjectSettings, Environment, _ group: (any Channel)?) throws(Refusal) -> any Channel

  /// The module of an object; `nil` for a class that is not built.
  static func of(_ path: ObjectPath) -> ModuleClass? { of(path.type) }

  static func of(_ type: ObjectType) -> ModuleClass? { Modules.all.first { $0.type == type } }
}

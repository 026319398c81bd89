// SPDX-License-Identifier: Apache-2.0

/// The part of the runtime a line of the log belongs to: a class of objects, or one of the vendor's other parts.
public struct ModuleKind: Sendable, Hashable {
  /// As the log shows it: `venc`.
  public let name: String

  public init(_ name: String) { self.name = name }

  /// Draws regions (overlays, covers, mosaics) into frames.
  public static let region = ModuleKind("rgn")
  /// Buffers and pools.
  public static let memory = ModuleKind("mb")
  /// Graph, bindings, settings and everything else.
  public static let system = ModuleKind("sys")
}

// SPDX-License-Identifier: Apache-2.0

/// Plain facts about a node of the graph that are true at this moment.
public struct NodeFlags: OptionSet, Sendable, Equatable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// It may be used: made, and not being removed.
  public static let valid = NodeFlags(rawValue: 1 << 0)
  /// It was removed and only waits for its last user to let go.
  public static let dead = NodeFlags(rawValue: 1 << 1)
  /// Its removal has begun.
  public static let destroying = NodeFlags(rawValue: 1 << 2)
  /// Its queue is being emptied.
  public static let flushing = NodeFlags(rawValue: 1 << 3)
  /// It is enabled and takes or gives frames.
  public static let streaming = NodeFlags(rawValue: 1 << 4)
  /// It is bound to a source.
  public static let boundAsSink = NodeFlags(rawValue: 1 << 5)
  /// It starts by itself when it is bound.
  public static let autoStart = NodeFlags(rawValue: 1 << 6)
}

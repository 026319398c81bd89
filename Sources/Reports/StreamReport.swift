// SPDX-License-Identifier: Apache-2.0

/// One form in which a channel's coded stream can be read.
public struct StreamReport: Sendable, Equatable {
  /// Path of the file in the tree: `venc/0/stream.ts`.
  public var name: String
  /// What it is, one line.
  public var summary: String
  /// Why it cannot be read now; nil where it can.
  public var obstacle: String?

  public init(name: String, summary: String, obstacle: String? = nil) {
    self.name = name
    self.summary = summary
    self.obstacle = obstacle
  }
}

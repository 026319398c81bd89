// SPDX-License-Identifier: Apache-2.0

/// One node of the graph: one channel of one module, its two sides and whom it gives its frames to.
public struct NodeReport: Sendable, Equatable {
  /// Number of the node, unique and never used again while the process lives.
  public var id: Int
  /// Name shown for it, for example `venc`. Never holds a blank: readers split rows on blanks.
  public var name: String
  /// Its directory in the tree, for example `vpss/0/1`.
  public var path: String
  /// Channel number within its module.
  public var channel: Int
  /// Number its maker gave it; 0 when none was given.
  public var userID: Int
  /// How many hold it.
  public var references: Int
  /// A number that stands for the node where other systems print an address; stable for its life, never a real
  /// address. nil: NodeText makes one from the id.
  public var handle: UInt64?
  /// Frames that arrive.
  public var input: PortReport
  /// Frames that leave.
  public var output: PortReport
  /// Frames taken in whose fate is not decided yet: waiting or being worked on. Unit: frames.
  public var inFlight: Int
  /// What is true of it now.
  public var flags: NodeFlags
  /// Node ids it gives its frames to, in the order they were bound.
  public var sinks: [Int]

  public init(
    id: Int, name: String, path: String = "", channel: Int, userID: Int = 0, references: Int = 0, handle: UInt64? = nil,
    input: PortReport = PortReport(), output: PortReport = PortReport(), inFlight: Int = 0,
    flags: NodeFlags = [.valid], sinks: [Int] = []
  ) {
    self.id = id
    self.name = name
    self.path = path
    self.channel = channel
    self.userID = userID
    self.references = references
    self.handle = handle
    self.input = input
    self.output = output
    self.inFlight = inFlight
    self.flags = flags
    self.sinks = sinks
  }
}

// SPDX-License-Identifier: Apache-2.0

/// One V4L2 node of the machine.
public struct VideoDeviceReport: Sendable, Equatable {
  public var path: String
  /// What it is for: `capture`, `encoder (H264 HEVC)`, `scaler`, ...
  public var role = ""
  public var driver = ""
  /// The product's name, and where it sits.
  public var card = ""
  public var bus = ""
  /// Four-character codes of what goes in and what comes out.
  public var formatsIn: [String] = []
  public var formatsOut: [String] = []
  /// Memory the queues take (`mmap`, `dmabuf`, ...); nil where there is no queue or the device does not tell.
  public var memoryIn: String?
  public var memoryOut: String?
  /// Its buffers have a memory for each plane.
  public var isMultiplanar = false
  /// Gives no picture before its media graph is set up by another program.
  public var needsMediaController = false
  /// Name of the engine it is registered as, nil when the runtime has no use for it.
  public var engine: String?

  public init(path: String) {
    self.path = path
  }
}

/// One DRM card of the machine.
public struct CardReport: Sendable, Equatable {
  public struct Connector: Sendable, Equatable {
    public var name: String
    public var isConnected: Bool
    /// What the monitor calls itself; nil where it does not tell.
    public var monitor: String?
    /// Modes of the monitor, the preferred first.
    public var modes: [String]
    public init(name: String, isConnected: Bool, monitor: String? = nil, modes: [String] = []) {
      self.name = name
      self.isConnected = isConnected
      self.monitor = monitor
      self.modes = modes
    }
  }
  public var path: String
  public var driver: String
  public var connectors: [Connector]

  public init(path: String, driver: String, connectors: [Connector] = []) {
    self.path = path
    self.driver = driver
    self.connectors = connectors
  }
}

/// What this machine has, as far as the process may open it.
public struct DevicesReport: Sendable, Equatable {
  public var videos: [VideoDeviceReport]
  public var cards: [CardReport]
  /// Names of the dma-heaps.
  public var heaps: [String]
  public var hasUdmabuf: Bool
  /// Which memory pools are made of, and why.
  public var memoryChoice: String
  /// Nodes that could not be asked, and why.
  public var refused: [KeyValue]

  public init(
    videos: [VideoDeviceReport] = [], cards: [CardReport] = [], heaps: [String] = [], hasUdmabuf: Bool = false,
    memoryChoice: String = "", refused: [KeyValue] = []
  ) {
    self.videos = videos
    self.cards = cards
    self.heaps = heaps
    self.hasUdmabuf = hasUdmabuf
    self.memoryChoice = memoryChoice
    self.refused = refused
  }
}

// SPDX-License-Identifier: Apache-2.0

/// What a region draws. The raw value is the name users see.
public enum RegionShape: String, Sendable, Equatable, CaseIterable {
  case overlay
  case overlayExtended = "overlay_ex"
  case cover, mosaic, line
}

/// A region: something drawn into the frames of the channels it is attached to.
public struct RegionReport: Sendable, Equatable {
  /// Number of the region.
  public var id: Int
  /// What it draws.
  public var shape: RegionShape
  /// Width in pixels.
  public var width: Int
  /// Height in pixels.
  public var height: Int
  /// Format of its bitmap; nil when it has none.
  public var format: PictureFormat?
  /// The buffer that holds its bitmap; nil when it has none.
  public var canvasBufferID: Int?
  /// How many hold that buffer; nil when it has none.
  public var canvasReferences: Int?

  public init(
    id: Int, shape: RegionShape, width: Int, height: Int, format: PictureFormat? = nil, canvasBufferID: Int? = nil,
    canvasReferences: Int? = nil
  ) {
    self.id = id
    self.shape = shape
    self.width = width
    self.height = height
    self.format = format
    self.canvasBufferID = canvasBufferID
    self.canvasReferences = canvasReferences
  }
}

/// One region attached to one node.
public struct RegionAttachment: Sendable, Equatable {
  /// The region.
  public var regionID: Int
  /// The node it is attached to.
  public var nodeID: Int
  /// Left edge in pixels of the node's picture.
  public var x: Int
  /// Top edge in pixels of the node's picture.
  public var y: Int
  /// Order of drawing; higher lies above.
  public var layer: Int

  public init(
    regionID: Int, nodeID: Int, x: Int, y: Int, layer: Int = 0
  ) {
    self.regionID = regionID
    self.nodeID = nodeID
    self.x = x
    self.y = y
    self.layer = layer
  }
}

/// All regions and where they are attached.
public struct RegionsReport: Sendable, Equatable {
  /// The regions by number.
  public var regions: [RegionReport]
  /// The attachments, for each node in order of layer.
  public var attachments: [RegionAttachment]

  public init(
    regions: [RegionReport] = [], attachments: [RegionAttachment] = []
  ) {
    self.regions = regions
    self.attachments = attachments
  }
}

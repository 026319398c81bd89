// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `vrgn`: the regions, and which region lies where on each node. The same text in both dialects.
public enum VRgnPage {
  static let page = Page("vrgn", "regions, and which lies where on each node") {
    write(regions: $0.regions, nodes: $0.nodes, identity: $0.identity, to: &$1)
  }

  /// Writes the page. Every node has a row, also one without a region.
  public static func write(
    regions: RegionsReport, nodes: [NodeReport], identity: SystemIdentity, to out: inout TextWriter
  ) {
    writePreamble("vrgn", identity, to: &out)
    writeStarTitle("rgn list", leading: 41, trailing: 47, to: &out)
    out.text("handle---type------width---height---format----buf_id---refcnt---channel_num---------------------\n")
    for region in regions.regions {
      out.left(region.id, 8)
      out.byte(0x20)
      out.leftWord(typeName(region.shape), 9)
      out.byte(0x20)
      out.left(region.width, 7)
      out.byte(0x20)
      out.left(region.height, 8)
      out.byte(0x20)
      out.leftWord(formatName(region.format), 9)
      out.byte(0x20)
      out.left(region.canvasBufferID ?? -1, 8)
      out.byte(0x20)
      out.left(region.canvasReferences ?? -1, 8)
      out.byte(0x20)
      var channels = 0
      for attachment in regions.attachments where attachment.regionID == region.id { channels += 1 }
      out.left(channels, 8)
      out.text(" \n")
    }

    writeStarTitle("node_rgn list", leading: 40, trailing: 43, to: &out)
    out.text("id---name-------")
    for _ in 0..<8 { out.text("h-x---y---") }
    out.newline()
    for node in nodes {
      out.left(node.id, 4)
      out.byte(0x20)
      out.leftWord(node.name, 10)
      out.byte(0x20)
      // The header has room for eight; the vendor's loop prints as many as there are. No blank follows y: a y of four
      // digits touches the next number, as on the board.
      for attachment in regions.attachments where attachment.nodeID == node.id {
        out.left(attachment.regionID, 1)
        out.byte(0x20)
        out.left(attachment.x, 3)
        out.byte(0x20)
        out.left(attachment.y, 4)
      }
      out.newline()
    }
    out.newline()
  }

  private static func typeName(_ shape: RegionShape) -> String {
    switch shape {
    case .overlay: "OVERLAY"
    case .overlayExtended: "OVERLAY_EX"
    case .cover: "COVER"
    case .mosaic: "MOSAIC"
    case .line: "LINE"
    }
  }

  /// The vendor's name of a bitmap format; it counts the BGRA and RGBA orders under the ARGB names, and prints `-1` for
  /// what it does not know.
  private static func formatName(_ format: PictureFormat?) -> String {
    switch format {
    case .argb8888, .bgra8888, .rgba8888: "ARGB8888"
    case .abgr8888: "ABGR8888"
    case .argb4444, .bgra4444, .rgba4444: "ARGB4444"
    case .abgr4444: "ABGR4444"
    case .argb1555: "ARGB1555"
    case .abgr1555: "ABGR1555"
    case .rgba5551, .bgra5551: "ARGB5551"
    case .palette2: "2BPP"
    default: "-1"
    }
  }
}

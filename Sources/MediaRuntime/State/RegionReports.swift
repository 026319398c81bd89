// SPDX-License-Identifier: Apache-2.0
public import MediaCore
public import Reports
import SystemPackage

extension MediaGraph {
  /// The regions, and which lies where on each node, as the vendor's page shows them.
  public func regionsReport() -> RegionsReport {
    let fittings = allFittings
    let placed = fittings.compactMap(\.placement).sorted { ($0.layer, $0.region) < ($1.layer, $1.region) }
    return RegionsReport(
      regions: fittings.compactMap(\.regionReport),
      attachments: placed.compactMap { place in
        object(place.target).map {
          RegionAttachment(regionID: place.region, nodeID: $0.node.id, x: place.x, y: place.y, layer: place.layer)
        }
      })
  }

  /// Gives an object a file that was written to one of its attributes. No I/O; what comes of it is told in its `state`.
  public func take(_ bytes: [UInt8], for path: ObjectPath, _ key: String) { fitting(path)?.take(key, bytes) }

  /// The largest file such an object takes, bytes.
  public func largestFile(for path: ObjectPath) -> Int { fitting(path)?.largestFile ?? 0 }
}

// SPDX-License-Identifier: Apache-2.0
import Devices
import MediaCore
import Reports

extension DevicesReport {
  /// The inventory as the tree shows it.
  /// - Parameter engines: names of the registered engines.
  init(_ inventory: DeviceInventory, engines: Set<String>, memoryChoice: String) {
    self.init(
      videos: inventory.videos.map { video in
        VideoDeviceReport(
          path: video.path, role: video.role.description, driver: video.driver, card: video.card, bus: video.bus,
          formatsIn: video.outputFormats.map { Self.name($0.description) },
          formatsOut: video.captureFormats.map { Self.name($0.description) },
          memoryIn: video.outputMemory?.description, memoryOut: video.captureMemory?.description,
          isMultiplanar: video.isMultiplanar, needsMediaController: video.needsMediaController,
          engine: engines.contains(video.path)
            ? "\(video.path)" : video.role == .capture && !video.needsMediaController ? "input of vi" : nil)
      },
      cards: inventory.cards.map { card in
        CardReport(
          path: card.path, driver: card.driver,
          connectors: card.connectors.map {
            .init(name: $0.name, isConnected: $0.isConnected, monitor: $0.monitor, modes: $0.modes)
          })
      },
      heaps: inventory.heaps, hasUdmabuf: inventory.hasUdmabuf, memoryChoice: memoryChoice,
      refused: inventory.refused.map { KeyValue(key: $0.path, value: "\($0.failure)") })
  }

  /// Codes shorter than four characters are padded with blanks, which would read as two codes in a list.
  private static func name(_ code: String) -> String { String(code.filter { $0 != " " }) }
}

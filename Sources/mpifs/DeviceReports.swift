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
        var report = VideoDeviceReport(path: video.path)
        report.role = video.role.description
        report.driver = video.driver
        report.card = video.card
        report.bus = video.bus
        report.formatsIn = video.outputFormats.map { Self.name($0.description) }
        report.formatsOut = video.captureFormats.map { Self.name($0.description) }
        report.memoryIn = video.outputMemory?.description
        report.memoryOut = video.captureMemory?.description
        report.isMultiplanar = video.isMultiplanar
        report.needsMediaController = video.needsMediaController
        report.engine =
          engines.contains(video.path)
          ? video.path : video.role == .capture && !video.needsMediaController ? "input of vi" : nil
        return report
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

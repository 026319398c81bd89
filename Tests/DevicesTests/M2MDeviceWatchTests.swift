// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

@testable import Devices

@Suite(.timeLimit(.minutes(15))) struct M2MDeviceWatchTests {
  @Test func aNodeThatComesOrGoesIsNoticedWithoutAsking() throws {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("mpifs-\(UUID())").path
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: root) }
    let watch = DeviceWatch(in: root)
    #expect(watch.inventory.videos.isEmpty && watch.inventory.refused.isEmpty)
    // An ordinary file of that name: it is there, and it is no video device.
    let node = root + "/video3"
    #expect(FileManager.default.createFile(atPath: node, contents: nil))
    #expect(becomes { watch.inventory.refused.map(\.path) == [node] })
    try FileManager.default.removeItem(atPath: node)
    #expect(becomes { watch.inventory.refused.isEmpty })
  }

  private func becomes(_ condition: () -> Bool) -> Bool {
    for _ in 0..<2000 {
      if condition() { return true }
      usleep(10_000)
    }
    return false
  }
}

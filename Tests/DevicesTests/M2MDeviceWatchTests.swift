// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import LinuxMedia
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import Devices

@Suite(.ownThread(limit: .seconds(900))) struct M2MDeviceWatchTests {
  @Test func aNodeThatComesOrGoesIsNoticedWithoutAsking() throws {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("mpifs-\(UUID())").path
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: root) }
    let watch = DeviceWatch(in: root)
    #expect(watch.inventory.videos.isEmpty && watch.inventory.refused.isEmpty)
    // An ordinary file of that name: it is there, and it is no video device.
    let node = root + "/video3"
    #expect(FileManager.default.createFile(atPath: node, contents: nil))
    #expect(eventually { watch.inventory.refused.map(\.path) == [node] })
    try FileManager.default.removeItem(atPath: node)
    #expect(eventually { watch.inventory.refused.isEmpty })
  }

  @Test func devicesAreAskedOnceAndStayWhileTheyAreBusy() throws {
    let device = M2MFakeDevice()
    let engines = DeviceEngines(kernel: device)
    var inventory = DeviceInventory(in: "/nowhere")
    let video = DeviceInventory.Video(
      path: "/dev/video90", card: "Fake", driver: "fake", bus: "platform:1", role: .encoder([.h264]),
      captureFormats: [.h264], outputFormats: [.nv12], isMultiplanar: false, captureMemory: nil, outputMemory: nil,
      needsMediaController: false)
    inventory.videos = [video]
    #expect(engines.update(inventory))
    #expect(engines.engines.encoders.map(\.name) == ["/dev/video90"])
    let asked = device.opened
    #expect(!engines.update(inventory))
    #expect(device.opened == asked)
    // Another program, or a channel, has it for itself.
    var busy = DeviceInventory(in: "/nowhere")
    busy.refused = [.init(path: "/dev/video90", failure: Failure(.resourceBusy, "open", on: "/dev/video90"))]
    #expect(!engines.update(busy))
    #expect(engines.engines.encoders.count == 1)
    // Something else under the same name is another device.
    inventory.videos[0].bus = "usb-2"
    #expect(engines.update(inventory))
    #expect(device.opened > asked)
    #expect(engines.update(DeviceInventory(in: "/nowhere")))
    #expect(engines.engines.encoders.isEmpty)
  }

}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import LinuxMedia
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import Devices

@Suite(.ownThread(limit: .seconds(900))) struct M2MScalerTests {
  private func device(_ change: (inout M2MFakeDevice.Switches) -> Void = { _ in }) -> M2MFakeDevice {
    M2MFakeDevice(scaler: true) {
      $0.raw = [mpifs_V4L2_PIX_FMT_RGB24]
      change(&$0)
    }
  }

  private func video(_ path: String) -> DeviceInventory.Video {
    DeviceInventory.Video(
      path: path, card: "Fake", driver: "fake", bus: "fake", role: .scaler, captureFormats: [.yuyv],
      outputFormats: [.rgb24], isMultiplanar: false, needsMediaController: false)
  }

  private func factory(_ device: M2MFakeDevice, _ path: String = "/dev/video90") throws -> V4L2ScalerFactory {
    try #require(V4L2ScalerFactory(video(path), kernel: device))
  }

  private func open(_ factory: V4L2ScalerFactory, _ from: TestFrames, _ to: TestFrames) throws -> any Scaler {
    try factory.open(from.layout, crop: nil, transform: PictureTransform(), to: to.layout)
  }

  @Test func picturesInImportableMemoryAreNotCopied() throws {
    let device = device()
    let from = try TestFrames(.rgb24, 640, 480, dmabuf: true)
    let to = try TestFrames(.yuyv, 320, 240, dmabuf: true)
    let scaler = try open(try factory(device), from, to)
    for _ in 0..<5 {
      var target = try to.frame()
      #expect(try scaler.scale(try from.frame(), crop: nil, transform: PictureTransform(), to: &target) == 0)
    }
    #expect(device.imports.count == 10)
    #expect(device.opened == 2, "once for the factory, once for the work")
  }

  @Test(arguments: [true, false]) func othersAreCopiedAndCounted(isRefused: Bool) throws {
    let device = device { $0.importErrno = isRefused ? EINVAL : nil }
    let from = try TestFrames(.rgb24, 640, 480, dmabuf: isRefused)
    let to = try TestFrames(.yuyv, 320, 240, dmabuf: isRefused)
    let scaler = try open(try factory(device), from, to)
    for round in 1...3 {
      var target = try to.frame()
      let copied = try scaler.scale(try from.frame(), crop: nil, transform: PictureTransform(), to: &target)
      #expect(copied == 640 * 480 * 3 + 320 * 240 * 2)
      let pixels = try target.buffer.memory.map().load(as: UInt8.self)
      #expect(Int(pixels) == round, "what the device made has arrived")
    }
  }

  @Test func aFactorySaysWhatItsDeviceCan() throws {
    let factory = try factory(device { $0.hasSelection = false })
    func can(
      _ from: TestFrames, _ to: TestFrames, crop: Rectangle? = nil,
      _ change: (inout PictureTransform) -> Void = { _ in }
    )
      -> Bool
    {
      var transform = PictureTransform()
      change(&transform)
      return factory.supports(from.layout, crop: crop, transform: transform, to: to.layout)
    }
    let from = try TestFrames(.rgb24, 640, 480)
    let to = try TestFrames(.yuyv, 320, 240)
    #expect(can(from, to))
    #expect(!can(to, from), "not the other way round")
    #expect(!can(try TestFrames(.rgb24, 1280, 720), to), "too large")
    #expect(!can(from, try TestFrames(.yuyv, 322, 240)), "between its steps")
    #expect(!can(from, to, crop: Rectangle(x: 0, y: 0, width: 320, height: 240)), "no selection")
    #expect(!can(from, to) { $0.mirror = true }, "no control for it")
    #expect(!can(from, to) { $0.rotation = 90 })
    let turning = try self.factory(
      device { $0.controls = [DeviceTurns.horizontal: .init(), DeviceTurns.vertical: .init()] })
    var half = PictureTransform()
    half.rotation = 180
    #expect(turning.supports(from.layout, crop: nil, transform: half, to: to.layout))
  }

  @Test func otherWorkOpensTheDeviceAnew() throws {
    let device = device { $0.controls = [DeviceTurns.horizontal: .init(), DeviceTurns.vertical: .init()] }
    let from = try TestFrames(.rgb24, 640, 480, dmabuf: true)
    let to = try TestFrames(.yuyv, 320, 240, dmabuf: true)
    let scaler = try open(try factory(device), from, to)
    var transform = PictureTransform()
    transform.mirror = true
    for _ in 0..<3 {
      var target = try to.frame()
      _ = try scaler.scale(try from.frame(), crop: nil, transform: transform, to: &target)
    }
    #expect(device.opened == 3)
    #expect(device.open == 1)
    #expect(device.written(DeviceTurns.horizontal).last == 1)
  }

  @Test func aHangIsFailedAndTheDeviceIsTakenBackWhenItReturns() throws {
    let path = "/dev/video83"
    let device = device()
    let from = try TestFrames(.rgb24, 640, 480, dmabuf: true)
    let to = try TestFrames(.yuyv, 320, 240, dmabuf: true)
    let scaler = try open(try factory(device, path), from, to)
    func scale() -> Errno? {
      do {
        var target = try to.frame()
        _ = try scaler.scale(try from.frame(), crop: nil, transform: PictureTransform(), to: &target)
        return nil
      } catch { return (error as? Failure)?.errno }
    }
    #expect(scale() == nil)
    device.change { $0.hangs = true }
    #expect(scale() == .timedOut)
    #expect(scale() == .resourceBusy)
    #expect(to.pool.free == 1, "the device may still write into that picture")
    device.change { $0.hangs = false }
    #expect(comesBack(path))
    #expect(to.pool.free == 2 && from.pool.free == 2)
    #expect(scale() == nil)
  }

  /// A picture between bars: lines of a device are longer than its pixels, and what lies beside the part is not the device's.
  @Test func aCopyIntoAPartOfAPictureLeavesTheRestAsItIs() throws {
    let made = try #require(FrameLayout(.nv12, width: 48, height: 16, alignment: 64))
    let whole = try #require(FrameLayout(.nv12, width: 96, height: 32, alignment: 1))
    let part = try #require(whole.part(Rectangle(x: 16, y: 8, width: 48, height: 16)))
    var source = [UInt8](repeating: 7, count: made.byteCount)
    var target = [UInt8](repeating: 1, count: whole.byteCount)
    let copied = try source.withUnsafeMutableBytes { from in
      try target.withUnsafeMutableBytes { to in
        let (from, to) = (UnsafeMutableRawBufferPointer(from), UnsafeMutableRawBufferPointer(to))
        return try PlaneCopy.copy(made, { _ in from }, to: part, { _ in to }, on: "test")
      }
    }
    #expect(copied == 48 * 24)
    for row in 0..<48 {
      let isInside = row < 32 ? (8..<24).contains(row) : (36..<44).contains(row)
      let line = target[row * 96..<row * 96 + 96]
      let wanted = (0..<96).map { UInt8(isInside && (16..<64).contains($0) ? 7 : 1) }
      #expect(Array(line) == wanted, "\(row)")
    }
  }
}

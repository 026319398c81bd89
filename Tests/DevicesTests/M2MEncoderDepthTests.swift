// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxMedia
import MediaCore
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Devices

/// Several frames inside one encoder at a time.
@Suite(.ownThread(limit: .seconds(900))) struct M2MEncoderDepthTests {
  private func encoder(_ device: M2MFakeDevice, _ path: String = "/dev/video90") throws -> V4L2Encoder {
    try V4L2Encoder(
      path,
      EncoderConfiguration(
        codec: .h264, width: 640, height: 360, format: .nv12, frameRate: .thirty, depth: 3,
        settings: ["gop": .integer(30), "rc_mode": .text("cbr"), "bitrate": .integer(2000)]), kernel: device)
  }

  private func encode(
    _ encoder: V4L2Encoder, _ frames: TestFrames, _ times: ClosedRange<Int64>, _ list: inout PictureList
  ) throws {
    for pts in times { try encoder.submit(try frames.frame(pts: pts), EncodeDirective(), into: &list) }
  }

  @Test(arguments: [true, false]) func framesGoInWhileOthersAreInsideAndTheirPicturesComeLater(dmabuf: Bool) throws {
    let device = M2MFakeDevice { $0.isManual = true }
    let encoder = try encoder(device)
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: dmabuf, count: 4)
    var list = PictureList()
    try encode(encoder, frames, 1...2, &list)
    #expect(device.waiting == 2 && encoder.inside == 2)
    #expect(list.pictures.isEmpty)
    // What is imported is held until the device lets go of it, what is copied is not.
    #expect(frames.pool.free == (dmabuf ? 2 : 4))
    device.code(1)
    try encoder.collect(into: &list)
    #expect(list.pictures.map(\.pts) == [1])
    #expect(encoder.inside == 1 && frames.pool.free == (dmabuf ? 3 : 4))
    try encode(encoder, frames, 3...3, &list)
    #expect(encoder.inside == 2)
    device.code(2)
    while encoder.inside > 0 { try encoder.collect(into: &list) }
    #expect(list.pictures.map(\.pts) == [1, 2, 3])
    #expect(frames.pool.free == 4)
    #expect(encoder.bytesCopied == (dmabuf ? 0 : 3 * 345_600))
  }

  /// Has a device code one picture after the other until told to stop.
  private func withWorkingDevice(_ device: M2MFakeDevice, _ body: () throws -> Void) throws {
    device.change { $0.isWorkedOn = true }
    let isDone = Mutex(false)
    let worker = Background("device") {
      while !isDone.withLock({ $0 }) {
        device.code(1)
        usleep(500)
      }
    }
    defer {
      isDone.withLock { $0 = true }
      _ = try? worker.value
      device.change { $0.isWorkedOn = false }
    }
    try body()
  }

  @Test(arguments: [true, false]) func noPictureIsLostWhenKeysAreForcedMemoryChangesOrTheStreamEnds(
    hasCommands: Bool
  ) throws {
    let device = M2MFakeDevice {
      $0.isManual = true
      $0.hasCommands = hasCommands
    }
    let encoder = try encoder(device)
    let imported = try TestFrames(.nv12, 640, 360, dmabuf: true, count: 6)
    let copied = try TestFrames(.nv12, 640, 360, count: 6)
    var list = PictureList()
    try withWorkingDevice(device) {
      for pts in 1...Int64(60) {
        // The driver has no control for it: the coded queue starts anew.
        let type: PictureType? = pts % 7 == 0 ? .idr : nil
        let frames = pts / 10 % 2 == 0 ? imported : copied
        try encoder.submit(try frames.frame(pts: pts), EncodeDirective(type: type), into: &list)
        #expect(encoder.inside <= 2)
        if pts % 20 == 0 { try encoder.drain(into: &list) }
      }
    }
    #expect(list.pictures.map(\.pts) == Array(1...60))
    #expect(encoder.inside == 0)
    #expect(imported.pool.free == 6 && copied.pool.free == 6)
  }

  @Test func aWaitForPicturesCanBeEnded() throws {
    let device = M2MFakeDevice { $0.isManual = true }
    let encoder = try encoder(device)
    var list = PictureList()
    try encode(encoder, try TestFrames(.nv12, 640, 360, dmabuf: true), 1...1, &list)
    let waker = try #require(encoder.waker)
    waker.wake()
    try encoder.collect(into: &list)
    #expect(list.pictures.isEmpty && encoder.inside == 1)
    device.code(1)
    try encoder.collect(into: &list)
    #expect(list.pictures.map(\.pts) == [1])
  }

  @Test func aFrameTheDeviceLeavesOutIsNoHangAndDelaysNoLaterOne() throws {
    let device = M2MFakeDevice { $0.isManual = true }
    let encoder = try encoder(device)
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true, count: 4)
    var list = PictureList()
    try encode(encoder, frames, 1...1, &list)
    device.leaveOut()
    // Half a second without a picture, with no frame in the driver: it may be one that looks ahead.
    try encoder.collect(into: &list)
    #expect(list.pictures.isEmpty && encoder.inside == 0 && frames.pool.free == 4)
    try encode(encoder, frames, 2...2, &list)
    device.code(1)
    try encoder.collect(into: &list)
    #expect(list.pictures.map(\.pts) == [2])
    // It is not: its next picture is waited for again.
    try encode(encoder, frames, 3...3, &list)
    device.code(1)
    try encoder.collect(into: &list)
    #expect(list.pictures.map(\.pts) == [2, 3])
    #expect(encoder.inside == 0)
  }

  @Test func aFailureLosesAllThatIsInsideAndHoldsNoneOfIt() throws {
    let device = M2MFakeDevice { $0.isManual = true }
    let encoder = try encoder(device)
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true, count: 4)
    var list = PictureList()
    try encode(encoder, frames, 1...2, &list)
    device.change { $0.damagesNext = true }
    device.code(1)
    #expect(throws: Failure.self) { try encoder.collect(into: &list) }
    #expect(encoder.inside == 0 && !encoder.isBroken)
    #expect(frames.pool.free == 4)
    try encode(encoder, frames, 3...4, &list)
    device.code(2)
    while encoder.inside > 0 { try encoder.collect(into: &list) }
    #expect(list.pictures.map(\.pts) == [3, 4])
  }

  @Test(arguments: [false, true])
  func aDamagedPictureIsToldAtOnceWhereverTheDriverSaysIt(frameOnly: Bool) throws {
    let device = M2MFakeDevice {
      $0.isManual = true
      $0.damagedIsEmpty = true
      $0.damagesFrameOnly = frameOnly
    }
    let encoder = try encoder(device)
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true, count: 4)
    var list = PictureList()
    try encode(encoder, frames, 1...2, &list)
    // The first is whole, the second is not.
    device.code(1)
    device.change { $0.damagesNext = true }
    device.code(1)
    var said: Failure?
    do {
      while encoder.inside > 0 { try encoder.collect(into: &list) }
    } catch { said = error }
    #expect(said?.errno == .ioError)
    #expect(list.pictures.map(\.pts) == [1], "what was coded before it is not lost")
    #expect(encoder.inside == 0 && !encoder.isBroken)
    #expect(frames.pool.free == 4)
    try encode(encoder, frames, 3...4, &list)
    device.code(2)
    while encoder.inside > 0 { try encoder.collect(into: &list) }
    #expect(list.pictures.map(\.pts) == [1, 3, 4])
  }

  @Test func theMemoryOfADeviceIsUnmappedBeforeItIsClosed() throws {
    let device = M2MFakeDevice()
    var encoder: V4L2Encoder? = try encoder(device)
    var list = PictureList()
    try encoder.map { try encode($0, try TestFrames(.nv12, 640, 360), 1...2, &list) }
    encoder = nil
    #expect(device.open == 0)
    #expect(device.closedWhileMapped == 0)
  }

  @Test func buffersTheDriverDoesNotFreeAreAskedForAnew() throws {
    let device = M2MFakeDevice()
    let encoder = try encoder(device)
    var list = PictureList()
    try encode(encoder, try TestFrames(.nv12, 640, 360), 1...2, &list)
    device.change { $0.refusesRelease = true }
    // To be imported: the driver's own buffers go first.
    try encode(encoder, try TestFrames(.nv12, 640, 360, dmabuf: true), 3...4, &list)
    while encoder.inside > 0 { try encoder.collect(into: &list) }
    #expect(list.pictures.map(\.pts) == [1, 2, 3, 4])
    #expect(encoder.bytesCopied == 4 * 345_600)
  }

  @Test func whatIsInsideAHangingDeviceIsHeldUntilItIsClosed() throws {
    let path = "/dev/video82"
    let device = M2MFakeDevice { $0.hangs = true }
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true, count: 4)
    var list = PictureList()
    var encoder: V4L2Encoder? = try encoder(device, path)
    try encoder.map { try encode($0, frames, 1...2, &list) }
    var said: Failure?
    do { try encoder?.collect(into: &list) } catch { said = error }
    #expect(said?.errno == .timedOut)
    #expect(encoder?.isBroken == true && encoder?.inside == 0)
    encoder = nil
    #expect(frames.pool.free == 2, "the hardware may still read them")
    device.change { $0.hangs = false }
    #expect(comesBack(path))
    #expect(frames.pool.free == 4)
  }
}

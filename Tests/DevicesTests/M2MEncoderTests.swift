// SPDX-License-Identifier: Apache-2.0
import CLinux
import LinuxMedia
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import Devices

/// What encoder drivers do beyond vicodec, which the guest tier has: each is one somebody met.
@Suite(.ownThread(limit: .seconds(900))) struct M2MEncoderTests {
  private static let bitrate = mpifs_V4L2_CID_MPEG_VIDEO_BITRATE
  private static let gop = mpifs_V4L2_CID_MPEG_VIDEO_GOP_SIZE

  private func configuration(_ format: PixelFormat = .nv12, depth: Int = 1) -> EncoderConfiguration {
    EncoderConfiguration(
      codec: .h264, width: 640, height: 360, format: format, frameRate: .thirty, depth: depth,
      settings: ["gop": .integer(30), "rc_mode": .text("cbr"), "bitrate": .integer(2000), "quality": .integer(70)])
  }

  private func encoder(_ device: M2MFakeDevice, _ path: String, _ configuration: EncoderConfiguration? = nil) throws
    -> V4L2Encoder
  {
    try V4L2Encoder(path, configuration ?? self.configuration(), kernel: device)
  }

  private func encode(
    _ encoder: V4L2Encoder, _ frames: TestFrames, _ times: ClosedRange<Int64>, _ list: inout PictureList
  )
    throws
  {
    for pts in times { try encoder.submit(try frames.frame(pts: pts), EncodeDirective(), into: &list) }
  }

  @Test(arguments: [true, false]) func picturesComeWithTheirTimeWhetherTheDriverKeepsItOrNot(keepsTime: Bool) throws {
    let device = M2MFakeDevice { $0.keepsTime = keepsTime }
    let encoder = try encoder(device, "/dev/video90")
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true)
    var list = PictureList()
    try encode(encoder, frames, 1...12, &list)
    #expect(list.pictures.map(\.pts) == Array(1...12))
    #expect(encoder.bytesCopied == 0)
    #expect(Set(device.imports).count <= 2, "one descriptor for each buffer of the pool")
  }

  @Test func framesWithAnotherLayoutOrMemoryAreCopiedAndCounted() throws {
    // 368 lines are coded of 360: chroma begins elsewhere.
    let device = M2MFakeDevice { $0.lineBlock = 16 }
    let encoder = try encoder(device, "/dev/video90")
    var list = PictureList()
    try encode(encoder, try TestFrames(.nv12, 640, 360, dmabuf: true), 1...3, &list)
    #expect(encoder.bytesCopied == 3 * 345_600)
    #expect(device.imports.isEmpty)
    let plain = try self.encoder(M2MFakeDevice(), "/dev/video90")
    try encode(plain, try TestFrames(.nv12, 640, 360), 1...3, &list)
    #expect(plain.bytesCopied == 3 * 345_600)
  }

  @Test func aRefusedImportIsCopiedAndNoFrameIsLost() throws {
    let device = M2MFakeDevice { $0.importErrno = EINVAL }
    let encoder = try encoder(device, "/dev/video90")
    var list = PictureList()
    try encode(encoder, try TestFrames(.nv12, 640, 360, dmabuf: true), 1...3, &list)
    #expect(list.pictures.count == 3)
    #expect(encoder.bytesCopied == 3 * 345_600)
    #expect(encoder.remarks.contains { $0.hasPrefix("import refused") })
  }

  @Test func aDeviceThatDoesNotTakeTheFormatSaysWhichOneToConvertTo() throws {
    let encoder = try encoder(M2MFakeDevice(), "/dev/video90", configuration(.i420))
    #expect(encoder.inputFormats == [.nv12])
    let both = M2MFakeDevice { $0.raw = [mpifs_V4L2_PIX_FMT_NV12, mpifs_V4L2_PIX_FMT_YUV420] }
    #expect(try self.encoder(both, "/dev/video90", configuration(.i420)).inputFormats == [.i420])
  }

  @Test func theGroupIsSetByWhicheverControlTheDriverHas() throws {
    let period = mpifs_V4L2_CID_MPEG_VIDEO_H264_I_PERIOD
    let device = M2MFakeDevice { $0.controls = [period: .init()] }
    _ = try encoder(device, "/dev/video90")
    #expect(device.written(period) == [30])
    #expect(device.written(Self.gop) == [])
  }

  @Test func picturesOutOfOrderAreSwitchedOffAndAHeaderModeTheDriverRefusesIsOnlySaid() throws {
    let (between, headers) = (mpifs_V4L2_CID_MPEG_VIDEO_B_FRAMES, mpifs_V4L2_CID_MPEG_VIDEO_HEADER_MODE)
    let device = M2MFakeDevice {
      $0.controls = [between: .init(usual: 2), headers: .init()]
      $0.refused = [headers: EINVAL]
    }
    let encoder = try encoder(device, "/dev/video90")
    #expect(device.written(between) == [0])
    #expect(encoder.remarks.count == 1 && encoder.remarks.first?.contains("is not 1: ") == true, "\(encoder.remarks)")
    var list = PictureList()
    try encode(encoder, try TestFrames(.nv12, 640, 360, dmabuf: true), 1...2, &list)
    #expect(list.pictures.count == 2)
  }

  /// wave5 stores a bitrate and reads it when it is opened; mtk takes it with the next frame; allegro says EBUSY.
  @Test(arguments: [("wave5-enc", false, false), ("mtk-vcodec-enc", false, true), ("allegro", true, false)])
  func aBitrateTheDriverWouldSwallowIsChangedByOpeningAnew(driver: String, grabs: Bool, isLive: Bool) throws {
    let device = M2MFakeDevice {
      $0.driver = driver
      $0.grabsControls = grabs
      $0.controls = [Self.bitrate: .init()]
    }
    let encoder = try encoder(device, "/dev/video90")
    var changed = configuration()
    changed.settings[.bitrate] = 500
    #expect(try encoder.reconfigure(changed) == isLive)
    #expect(device.written(Self.bitrate) == (isLive ? [2_000_000, 500_000] : [2_000_000]))
    #expect(encoder.controls.settings[.bitrate]?.isLive == (driver != "wave5-enc"))
  }

  /// Encoders of single pictures list JPEG, those of video MJPG; VP8 has its own controls.
  @Test(arguments: [
    (mpifs_V4L2_PIX_FMT_JPEG, Codec.mjpeg), (mpifs_V4L2_PIX_FMT_MJPEG, .mjpeg), (mpifs_V4L2_PIX_FMT_VP8, .vp8),
    (mpifs_V4L2_PIX_FMT_HEVC, .h265),
  ])
  func whatADeviceListsIsOfferedByItsName(fourcc: UInt32, codec: Codec) throws {
    let (i, p) = (mpifs_V4L2_CID_MPEG_VIDEO_VPX_I_FRAME_QP, mpifs_V4L2_CID_MPEG_VIDEO_VPX_P_FRAME_QP)
    let quantiser = M2MFakeDevice.Control(minimum: 0, maximum: 127, usual: 28)
    let device = M2MFakeDevice {
      $0.coded = [mpifs_V4L2_PIX_FMT_FWHT, fourcc]
      $0.controls = codec == .vp8 ? [i: quantiser, p: quantiser] : [mpifs_V4L2_CID_JPEG_COMPRESSION_QUALITY: .init()]
    }
    let video = DeviceInventory.Video(
      path: "/dev/video90", card: "Fake", driver: "fake", bus: "", role: .encoder([.fwht, FourCC(rawValue: fourcc)]),
      captureFormats: [], outputFormats: [.nv12], isMultiplanar: false, captureMemory: nil, outputMemory: nil,
      needsMediaController: false)
    let factory = try #require(V4L2EncoderFactory(video, kernel: device))
    #expect(factory.codecs == (codec == .mjpeg || codec == .vp8 || codec == .h265 ? [codec, .fwht] : []))
    #expect(factory.settings(for: codec)[.keyQP]?.range == (codec == .vp8 ? 0...127 : nil))
    var wanted = configuration()
    (wanted.codec, wanted.settings[.rateControl]) = (codec, "fixqp")
    let encoder = try factory.open(wanted)
    var list = PictureList()
    try encoder.submit(try TestFrames(.nv12, 640, 360).frame(pts: 3), EncodeDirective(), into: &list)
    #expect(list.pictures.map(\.pts) == [3])
    #expect(factory.settings(for: codec)[.quality]?.isLive == (codec == .mjpeg ? true : nil))
  }

  @Test func quantisersAreHeldWhereTheRateControlCanBeSwitchedOff() throws {
    let (i, p) = (mpifs_V4L2_CID_MPEG_VIDEO_H264_I_FRAME_QP, mpifs_V4L2_CID_MPEG_VIDEO_H264_P_FRAME_QP)
    let control = mpifs_V4L2_CID_MPEG_VIDEO_FRAME_RC_ENABLE
    let quantiser = M2MFakeDevice.Control(minimum: 1, maximum: 51, usual: 26)
    let device = M2MFakeDevice {
      $0.controls = [Self.bitrate: .init(), control: .init(), i: quantiser, p: quantiser]
    }
    var fixed = configuration()
    (fixed.settings[.rateControl], fixed.settings[.keyQP], fixed.settings[.predictedQP]) = ("fixqp", 20, nil)
    let encoder = try encoder(device, "/dev/video90", fixed)
    #expect(encoder.controls.settings[.predictedQP] == EngineSetting(.predictedQP, live: true, 1...51, usual: 26))
    #expect(device.written(control) == [0])
    #expect(device.written(i) == [20] && device.written(p) == [26])
    fixed.settings[.predictedQP] = 35
    #expect(try encoder.reconfigure(fixed))
    fixed.settings[.predictedQP] = nil
    #expect(try encoder.reconfigure(fixed))
    #expect(device.written(p) == [26, 35, 26], "its own again")
    // A frame may be given another one; what is held costs no call.
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true)
    var list = PictureList()
    for (pts, qp) in [(1, 26), (2, 40), (3, 26), (4, 26)] {
      try encoder.submit(try frames.frame(pts: Int64(pts)), EncodeDirective(qp: qp), into: &list)
    }
    #expect(device.written(p) == [26, 35, 26, 40, 26])
    // A rate control that is always on takes quantisers as a hint at most.
    let always = M2MFakeDevice { $0.controls = [Self.bitrate: .init(), i: quantiser, p: quantiser] }
    #expect(try self.encoder(always, "/dev/video90").controls.settings[.keyQP] == nil)
    // wave5 and s5p-mfc read them when they are opened.
    device.change { $0.driver = "s5p-mfc" }
    let late = try self.encoder(device, "/dev/video90", fixed)
    fixed.settings[.keyQP] = 40
    #expect(late.controls.settings[.keyQP]?.isLive == false)
    #expect(try late.reconfigure(fixed) == false)
  }

  /// Bounds of predicted pictures alone where the device has them, else of all; a device without a rate control has none.
  @Test(arguments: [
    (mpifs_V4L2_CID_MPEG_VIDEO_H264_P_FRAME_MIN_QP, mpifs_V4L2_CID_MPEG_VIDEO_H264_P_FRAME_MAX_QP),
    (mpifs_V4L2_CID_MPEG_VIDEO_H264_MIN_QP, mpifs_V4L2_CID_MPEG_VIDEO_H264_MAX_QP),
  ])
  func boundsOfTheQuantiserAreTheDevicesControls(low: UInt32, high: UInt32) throws {
    let bound = M2MFakeDevice.Control(minimum: 1, maximum: 51, usual: 1)
    let upper = M2MFakeDevice.Control(minimum: 1, maximum: 51, usual: 51)
    let device = M2MFakeDevice { $0.controls = [Self.bitrate: .init(), low: bound, high: upper] }
    var asked = configuration()
    asked.settings[.maxQP] = 40
    let encoder = try encoder(device, "/dev/video90", asked)
    #expect(encoder.controls.settings[.maxQP] == EngineSetting(.maxQP, live: true, 1...51, usual: 51))
    #expect(device.written(high) == [40] && device.written(low) == [], "what is the device's own is not touched")
    asked.settings[.minQP] = 20
    #expect(try encoder.reconfigure(asked))
    asked.settings[.minQP] = nil
    #expect(try encoder.reconfigure(asked))
    #expect(device.written(low) == [20, 1] && device.written(high) == [40])
    let without = M2MFakeDevice { $0.controls = [low: bound, high: upper] }
    #expect(try self.encoder(without, "/dev/video90").controls.settings[.maxQP] == nil)
  }

  @Test(arguments: [true, false]) func aDrainEndsWithAnEmptyBufferOrByStoppingTheQueue(hasCommands: Bool) throws {
    let device = M2MFakeDevice { $0.hasCommands = hasCommands }
    let encoder = try encoder(device, "/dev/video90")
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true)
    var list = PictureList()
    try encoder.drain(into: &list)
    for round in 1...3 {
      try encode(encoder, frames, 1...2, &list)
      try encoder.drain(into: &list)
      #expect(list.pictures.count == round * 2)
    }
  }

  @Test func aDamagedPictureFailsAloneButAnEIOIsTheEndOfTheInstance() throws {
    let device = M2MFakeDevice()
    let encoder = try encoder(device, "/dev/video90")
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true)
    var list = PictureList()
    try encode(encoder, frames, 1...1, &list)
    device.change { $0.damagesNext = true }
    #expect(throws: Failure.self) { try encode(encoder, frames, 2...2, &list) }
    #expect(!encoder.isBroken)
    try encode(encoder, frames, 3...3, &list)
    #expect(list.pictures.map(\.pts) == [1, 3])
    device.change { $0.failsDequeue = EIO }
    #expect(throws: Failure.self) { try encode(encoder, frames, 4...4, &list) }
    #expect(encoder.isBroken)
  }

  @Test func aHangIsFailedInHalfASecondAndClosedByAnotherThread() throws {
    let path = "/dev/video81"
    let device = M2MFakeDevice { $0.controls = [Self.bitrate: .init()] }
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true)
    var list = PictureList()
    let factory = try #require(V4L2EncoderFactory(video(path), kernel: device))
    var first: V4L2Encoder? = try encoder(device, path)
    device.change { $0.hangs = true }
    var said: Failure?
    do { try first.map { try encode($0, frames, 1...1, &list) } } catch { said = error as? Failure }
    #expect(said?.errno == .timedOut)
    #expect(first?.isBroken == true)
    #expect(first.map { throwing($0, frames) } == .resourceBusy, "at once, without waiting again")
    // Would wait for the hardware were it not left to the other thread.
    first = nil
    #expect(HangingDevices.contains(path))
    #expect(opening(factory) == .resourceBusy)
    device.change { $0.hangs = false }
    #expect(comesBack(path))
    #expect(frames.pool.free == 2, "the picture the device was at is back")
    let second = try encoder(device, path)
    try encode(second, frames, 2...3, &list)
    #expect(list.pictures.map(\.pts) == [2, 3])
  }

  private func throwing(_ encoder: V4L2Encoder, _ frames: TestFrames) -> Errno? {
    var list = PictureList()
    do {
      try encode(encoder, frames, 1...1, &list)
      return nil
    } catch { return (error as? Failure)?.errno }
  }

  private func opening(_ factory: V4L2EncoderFactory) -> Errno? {
    do throws(Failure) {
      _ = try factory.open(configuration())
      return nil
    } catch { return error.errno }
  }

  private func video(_ path: String) -> DeviceInventory.Video {
    DeviceInventory.Video(
      path: path, card: "Fake", driver: "fake", bus: "fake", role: .encoder([.h264]), captureFormats: [.h264],
      outputFormats: [.nv12], isMultiplanar: false, needsMediaController: false)
  }

  @Test func whatADeviceOffersIsAskedNotAssumed() throws {
    let profile = mpifs_V4L2_CID_MPEG_VIDEO_H264_PROFILE
    let device = M2MFakeDevice {
      $0.controls = [profile: .init(type: 3, usual: 1, menu: ["Baseline", "Main", "Extended"])]
    }
    let factory = try #require(V4L2EncoderFactory(video("/dev/video90"), kernel: device))
    #expect(factory.profiles(for: .h264) == ["main", "baseline"])
    #expect(factory.settings(for: .h264)[.bitrate] == nil)
    #expect(throws: Failure.self) { try factory.validate(configuration()) }
    var fixed = configuration(.i420)
    fixed.settings[.rateControl] = "fixqp"
    #expect(throws: Never.self) { try factory.validate(fixed) }
    let able = M2MFakeDevice { $0.controls = [Self.bitrate: .init(), Self.gop: .init()] }
    let second = try #require(V4L2EncoderFactory(video("/dev/video90"), kernel: able))
    #expect(second.settings(for: .h264)[.bitrate]?.isLive == true && second.settings(for: .h264)[.gop]?.isLive == true)
    #expect(throws: Never.self) { try second.validate(configuration()) }
  }
}

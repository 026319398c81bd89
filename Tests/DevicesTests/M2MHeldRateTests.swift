// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxMedia
import MediaCore
import TestSupport
import Testing

@testable import Devices

/// Devices without a rate control of their own, whose quantiser, or JPEG quality, the runtime sets before each picture.
@Suite(.ownThread) struct M2MHeldRateTests {
  private static let (i, p) = (mpifs_V4L2_CID_FWHT_I_FRAME_QP, mpifs_V4L2_CID_FWHT_P_FRAME_QP)
  private static let quality = mpifs_V4L2_CID_JPEG_COMPRESSION_QUALITY

  /// One in which pictures shrink with the quantiser as those of the kernel's vicodec do, or grow with the quality factor.
  private static func device(_ codec: Codec, _ change: (inout M2MFakeDevice.Switches) -> Void = { _ in })
    -> M2MFakeDevice
  {
    M2MFakeDevice {
      $0.driver = "vicodec"
      if codec == .fwht {
        $0.coded = [mpifs_V4L2_PIX_FMT_FWHT]
        let quantiser = M2MFakeDevice.Control(minimum: 1, maximum: 31, usual: 20)
        $0.controls = [
          Self.i: quantiser, Self.p: quantiser,
          mpifs_V4L2_CID_MPEG_VIDEO_GOP_SIZE: .init(minimum: 1, maximum: 16, usual: 10),
        ]
        $0.size = { number, values in
          let qp = Double(values[number % 8 == 0 ? Self.i : Self.p] ?? 20) + 4
          let scene = 1 + 0.08 * sin(Double(number) / 9)
          return Int(scene * (number % 8 == 0 ? 300_000 * pow(qp, -0.85) : 150_000 * pow(qp, -1.2)))
        }
      } else {
        $0.coded = [mpifs_V4L2_PIX_FMT_JPEG]
        $0.controls = [Self.quality: .init(minimum: 1, maximum: 100, usual: 80)]
        $0.size = { number, values in
          let factor = Double(values[Self.quality] ?? 80)
          let step = factor < 50 ? 50 / factor : max(0.02, (100 - factor) / 50)
          return Int((1 + 0.08 * sin(Double(number) / 9)) * 9000 * pow(step, -0.55))
        }
      }
      change(&$0)
    }
  }

  private static func factory(_ device: M2MFakeDevice, _ codec: Codec) throws -> V4L2EncoderFactory {
    let video = DeviceInventory.Video(
      path: "/dev/video90", card: "Fake", driver: "vicodec", bus: "",
      role: .encoder([codec == .fwht ? .fwht : FourCC(rawValue: mpifs_V4L2_PIX_FMT_JPEG)]), captureFormats: [],
      outputFormats: [.nv12], isMultiplanar: false, captureMemory: nil, outputMemory: nil, needsMediaController: false)
    return try #require(V4L2EncoderFactory(video, kernel: device))
  }

  private static func configuration(
    _ codec: Codec, _ factory: V4L2EncoderFactory, _ settings: ObjectSettings, depth: Int = 1
  ) throws -> EncoderConfiguration {
    var all: ObjectSettings = ["rc_mode": .text("cbr"), "gop": .integer(8)]
    for (key, value) in settings.values { all[key] = value }
    return EncoderConfiguration(
      codec: codec, width: 640, height: 360, format: .nv12, frameRate: try #require(FrameRate(25)), depth: depth,
      settings: all, obeyed: factory.settings(for: codec))
  }

  @Test(arguments: [Codec.fwht, .mjpeg]) func whatTheRuntimeHoldsForTheDeviceIsSaid(codec: Codec) throws {
    let factory = try Self.factory(Self.device(codec), codec)
    #expect(factory.capabilities(for: codec).contains(.heldByQP))
    let settings = factory.settings(for: codec)
    #expect(settings[.bitrate]?.isLive == true && settings[.rateWindow]?.isLive == true)
    #expect(settings[.maxQP] == (codec == .fwht ? EngineSetting(.maxQP, live: true, 1...31, usual: 31) : nil))
    #expect(
      settings[.leastQuality] == (codec == .fwht ? nil : EngineSetting(.leastQuality, live: true, 1...99, usual: 30)))
    #expect(settings[.maxReencodes] == nil, "what it has made it has made")
    // One with a bitrate holds it itself; one that reads its quantisers when it is opened cannot be held.
    let own = Self.device(codec) { $0.controls[mpifs_V4L2_CID_MPEG_VIDEO_BITRATE] = .init() }
    #expect(try !Self.factory(own, codec).capabilities(for: codec).contains(.heldByQP))
    let late = Self.device(codec) { $0.driver = "s5p-mfc" }
    #expect(try !Self.factory(late, codec).capabilities(for: codec).contains(.heldByQP))
  }

  @Test(arguments: [(Codec.fwht, 1500), (.fwht, 3000), (.mjpeg, 1500), (.mjpeg, 3500)], [1, 3])
  func theRateIsHeldByTheControlOfEachPicture(what: (codec: Codec, kilobits: Int), depth: Int) throws {
    let device = Self.device(what.codec)
    let factory = try Self.factory(device, what.codec)
    let configuration = try Self.configuration(
      what.codec, factory, ["bitrate": .integer(what.kilobits), "qfmin": .integer(5)], depth: depth)
    let encoder = try factory.open(configuration)
    let control = factory.rateController(for: encoder, configuration)
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true, count: depth + 1)
    var list = PictureList()
    var asked: [Int] = []
    for number in 0..<250 {
      let came = list.pictures.count
      let directive = try #require(
        control.directive(wantsKey: number == 0, pts: Int64(number) * 40_000, activity: nil))
      asked.append(try #require(directive.qp ?? directive.quality))
      try encoder.submit(try frames.frame(pts: Int64(number) * 40_000), directive, into: &list)
      for index in came..<list.pictures.count {
        control.coded(
          index % 8 == 0 ? .idr : .p, isKey: index % 8 == 0, qp: nil, bytes: list.pictures[index].bytes.count)
      }
    }
    try encoder.drain(into: &list)
    let sizes = list.pictures.map { Double($0.bytes.count * 8) }
    try #require(sizes.count == 250)
    let target = Double(what.kilobits) * 1000
    for start in stride(from: 25, to: 225, by: 5) {
      let second = sizes[start..<start + 25].reduce(0, +) / target
      #expect(second <= 1.17, "\(second) in the second from \(start)")
    }
    let mean = sizes[50...].reduce(0, +) / 8 / target
    #expect(abs(mean - 1) < 0.04, "\(mean)")
    // A call a picture where it changes, none where it does not.
    let written = device.written(what.codec == .fwht ? Self.p : Self.quality).map { Int($0) }
    var changes: [Int] = []
    for number in asked where number != changes.last { changes.append(number) }
    #expect(Array(written.suffix(changes.count)) == changes && changes.count > 5)
  }

  /// A control holds for all that the device begins from then on: what is inside comes out before it is set.
  @Test func framesInsideAreCodedWithTheQuantiserTheyCameWith() throws {
    let device = Self.device(.fwht)
    let factory = try Self.factory(device, .fwht)
    let encoder = try factory.open(try Self.configuration(.fwht, factory, ["bitrate": .integer(4000)], depth: 3))
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true, count: 4)
    device.change {
      ($0.isManual, $0.isWorkedOn) = (true, true)
      $0.size = { _, values in Int(values[Self.p] ?? 0) * 100 }
    }
    var list = PictureList()
    for pts in 1...2 { try encoder.submit(try frames.frame(pts: Int64(pts)), EncodeDirective(qp: 10), into: &list) }
    #expect(encoder.inside == 2)
    // The two that are inside, and not before they are waited for.
    let worker = Background("device") {
      let isWaitedFor = eventually { device.isWaitedFor }
      device.code(2)
      return isWaitedFor
    }
    try encoder.submit(try frames.frame(pts: 3), EncodeDirective(qp: 12), into: &list)
    #expect(try worker.value)
    #expect(list.pictures.map(\.bytes.count) == [1000, 1000])
    device.code(1)
    try encoder.collect(into: &list)
    #expect(list.pictures.map(\.bytes.count) == [1000, 1000, 1200])
  }

  @Test func withAFixedQuantiserTheControlsStayAsTheyWereSet() throws {
    let device = Self.device(.fwht)
    let factory = try Self.factory(device, .fwht)
    let configuration = try Self.configuration(
      .fwht, factory, ["rc_mode": .text("fixqp"), "qp_i": .integer(7), "qp_p": .integer(9)])
    let encoder = try factory.open(configuration)
    let control = factory.rateController(for: encoder, configuration)
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true)
    var list = PictureList()
    for number in 0..<10 {
      let directive = try #require(control.directive(wantsKey: false, pts: Int64(number), activity: nil))
      try encoder.submit(try frames.frame(pts: Int64(number)), directive, into: &list)
    }
    #expect(device.written(Self.i) == [7] && device.written(Self.p) == [9])
  }

  @Test func withoutAQuantiserTheDevicesOwnStay() throws {
    let device = Self.device(.fwht)
    let factory = try Self.factory(device, .fwht)
    let configuration = try Self.configuration(.fwht, factory, ["rc_mode": .text("fixqp")])
    let encoder = try factory.open(configuration)
    let control = factory.rateController(for: encoder, configuration)
    let frames = try TestFrames(.nv12, 640, 360, dmabuf: true)
    var list = PictureList()
    let before = (device.written(Self.i), device.written(Self.p))
    for number in 0..<10 {
      let directive = try #require(control.directive(wantsKey: false, pts: Int64(number), activity: nil))
      try encoder.submit(try frames.frame(pts: Int64(number)), directive, into: &list)
    }
    #expect((device.written(Self.i), device.written(Self.p)) == before)
  }
}

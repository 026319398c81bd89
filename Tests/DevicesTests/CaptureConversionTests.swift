// SPDX-License-Identifier: Apache-2.0
import CLinux
import Codecs
import Foundation
import MediaCore
import MediaRuntime
import Reports
import SystemPackage
import TestSupport
import Testing

@testable import Devices

/// A camera whose pictures nobody can work on as they are, in a channel of the runtime.
@Suite(.ownThread(limit: .seconds(300))) struct CaptureConversionTests {
  private let camera = FakeCamera()
  private let logs = RuntimeLogs()

  private func channel(_ settings: [String: SettingValue] = [:]) throws -> (MediaGraph, any ModuleObject) {
    let converters: [any PictureConverterFactory] = SoftwareCodecs.converterFactories() + [VendorConverterFactory()]
    let graph = try MediaGraph(
      engines: EngineCatalogue(
        sources: [V4L2SourceFactory(convertible: converters.flatMap(\.inputs), kernel: camera)],
        converters: converters, inputFormats: [.i420, .nv12]),
      allocator: MemfdAllocator(), listener: logs)
    var values: [String: SettingValue] = [
      "input": .text("/dev/video0"), "device_format": .text("auto"), "width": .integer(640), "height": .integer(360),
      "format": .text("i420"),
    ]
    values.merge(settings) { $1 }
    let path = try #require(ObjectPath("vi/0"))
    let object = try graph.make(path, settings: ObjectSettings(values))
    try object.start()
    return (graph, object)
  }

  /// - Returns: the state of that moment: figures of another are of other pictures.
  private func wait(_ graph: MediaGraph, until isTrue: (ObjectState) -> Bool) throws -> ObjectState {
    let path = try #require(ObjectPath("vi/0"))
    var state = try #require(graph.objectState(path))
    _ = try eventually {
      state = try #require(graph.objectState(path))
      return isTrue(state)
    }
    return state
  }

  private func jpeg(_ width: Int, _ height: Int) throws -> [UInt8] {
    let frames = try TestFrames(.i420, width, height)
    let frame = try frames.frame()
    let bytes = try frame.buffer.memory.map().assumingMemoryBound(to: UInt8.self)
    for index in 0..<frames.layout.byteCount { bytes[index] = UInt8(truncatingIfNeeded: 40 + index % 97) }
    return try SoftwareCodecs.pictureEncoder().jpeg(frame, quality: 80)
  }

  private func value(_ facts: [KeyValue], _ key: String) -> String? { facts.first { $0.key == key }?.value }

  @Test func picturesOfAJPEGCameraAreDecodedAndDamagedOnesDropped() throws {
    let whole = try jpeg(640, 360)
    let cut = Array(whole.prefix(whole.count / 2))
    camera.with {
      $0.formats = [mpifs_V4L2_PIX_FMT_YUYV, mpifs_V4L2_PIX_FMT_MJPEG]
      $0.rates = [mpifs_V4L2_PIX_FMT_YUYV: 5, mpifs_V4L2_PIX_FMT_MJPEG: 30]
      $0.pictures = [whole, whole, cut, whole, [], cut, [0, 1, 2], whole]
    }
    let (graph, object) = try channel()
    // The last picture is told to have come before what became of it is.
    let state = try wait(graph) { state in
      let figures = state.statistics
      let told = figures.framesOut + figures.dropped[.deviceError]
      return figures.framesIn == 7 && told == 7 && figures.bytesCopied == 4 * 345_600
    }
    // The empty one is the driver's way to say that it is damaged: the source counts it and it never comes this far.
    #expect(state.statistics.framesIn == 7)
    #expect(state.statistics.framesOut == 4)
    #expect(state.statistics.dropped[.deviceError] == 3)
    #expect(state.moreStatistics.first { $0.key == "source_damaged" }?.value == 4)
    // 4 pictures of 640x360 in 4:2:0, written once.
    #expect(state.statistics.bytesCopied == 4 * 345_600)
    #expect(value(state.active, "color") == "bt601 full")
    #expect(value(state.active, "device_format") == "MJPG")
    #expect(
      value(state.active, "device_format_why") == "yuyv gives at most 5 frames/s at 640x360, mjpeg 30")
    #expect(value(state.active, "format") == "i420")
    let conversion = try #require(value(state.active, "conversion"))
    #expect(conversion.hasPrefix("mjpeg -> i420 by libturbojpeg "))
    #expect(
      eventually {
        logs.modules.records.contains { $0.text.contains("picture dropped, 1 damaged so far: decode JPEG picture") }
      })
    object.stop()
    object.retire()
    graph.close()
  }

  @Test func theFormatOfTheDeviceCanBeForced() throws {
    camera.with {
      $0.formats = [mpifs_V4L2_PIX_FMT_NV12, PixelFormat("RGGB").rawValue]
      // Red 200, green 100, blue 50 everywhere.
      var mosaic = [UInt8](repeating: 100, count: 640 * 360)
      for y in 0..<360 {
        for x in 0..<640 where x % 2 == y % 2 { mosaic[y * 640 + x] = y % 2 == 0 ? 200 : 50 }
      }
      $0.pictures = [mosaic, mosaic, Array(mosaic.prefix(640 * 300)), mosaic]
    }
    let (graph, object) = try channel(["device_format": .text("RGGB")])
    let state = try wait(graph) { state in
      let figures = state.statistics
      return figures.framesIn == 4 && figures.framesOut + figures.dropped[.deviceError] == 4
    }
    #expect(state.statistics.framesOut == 3)
    #expect(state.statistics.dropped[.deviceError] == 1)
    #expect(value(state.active, "conversion") == "RGGB -> i420 by libv4lconvert")
    #expect(value(state.active, "device_format_why") == "RGGB was asked for")
    object.stop()
    object.retire()
    graph.close()
  }

  // A cheap USB camera, asked for nothing: all it has is 640x360, and that at a useful rate in MJPEG only.
  @Test func aCameraWithoutFullHDGivesItsLargestSizeAtTheRateAsked() throws {
    let whole = try jpeg(640, 360)
    camera.with {
      $0.formats = [mpifs_V4L2_PIX_FMT_YUYV, mpifs_V4L2_PIX_FMT_MJPEG]
      $0.rates = [mpifs_V4L2_PIX_FMT_YUYV: 10, mpifs_V4L2_PIX_FMT_MJPEG: 30]
      $0.pictures = [whole]
    }
    let (graph, object) = try channel(["width": .none, "height": .none])
    let state = try wait(graph) { $0.statistics.framesOut == 1 }
    #expect(value(state.active, "width") == "640")
    #expect(value(state.active, "device_format_why") == "yuyv gives at most 10 frames/s at 640x360, mjpeg 30")
    object.stop()
    object.retire()
    graph.close()
  }

  @Test func aFormatTheDeviceHasNotIsRefusedWithThoseItHas() throws {
    let failure = #expect(throws: Failure.self) { _ = try channel(["device_format": .text("mjpeg")]) }
    #expect(failure?.errno == .notSupported)
    #expect(failure?.detail == "mjpeg is not offered or cannot be used: YUYV NV12 H264")
    #expect(camera.with { $0.openFiles.isEmpty })
  }

  @Test func bareSensorsGetTheColoursTheySee() throws {
    // Y, Cb, Cr of red 200, green 100, blue 50 after BT.601.
    let wanted = [Int(16 + 0.257 * 200 + 0.504 * 100 + 0.098 * 50), 91, 175]
    let factory = VendorConverterFactory()
    for (code, red, blue) in [
      ("RGGB", (0, 0), (1, 1)), ("BA81", (1, 1), (0, 0)), ("GBRG", (0, 1), (1, 0)), ("GRBG", (1, 0), (0, 1)),
    ] {
      let format = try #require(PixelFormat(deviceName: code))
      let input = FrameLayout(
        format: format, width: 64, height: 48, plane0: Plane(offset: 0, stride: 80, lines: 48))
      let converter = try factory.open(input, to: .i420)
      let (source, target) = (try TestFrames(.xrgb8888, 64, 48), try TestFrames(.i420, 64, 48))
      var from = try source.frame()
      var to = try target.frame()
      from.layout = input
      from.layout.plane0 = Plane(offset: 0, stride: 80 * 48, lines: 1)
      to.layout = converter.layout
      let mosaic = try from.buffer.memory.map().assumingMemoryBound(to: UInt8.self)
      for y in 0..<48 {
        for x in 0..<80 {
          mosaic[y * 80 + x] =
            x >= 64 ? 255 : (x % 2, y % 2) == red ? 200 : (x % 2, y % 2) == blue ? 50 : 100
        }
      }
      #expect(try converter.convert(from, into: to) == 64 * 48 * 3 / 2)
      let made = try to.buffer.memory.map().assumingMemoryBound(to: UInt8.self)
      let found = [
        Int(made[24 * 64 + 32]), Int(made[64 * 48 + 12 * 32 + 16]), Int(made[64 * 48 * 5 / 4 + 12 * 32 + 16]),
      ]
      for (a, b) in zip(found, wanted) { #expect(abs(a - b) <= 4, "\(code): \(found), not \(wanted)") }
    }
  }
}

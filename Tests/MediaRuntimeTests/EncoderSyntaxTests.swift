// SPDX-License-Identifier: Apache-2.0
import Codecs
import Devices
import Foundation
import MediaCore
import Reports
import TestSupport
import Testing

@testable import MediaRuntime

/// Gives pictures of a stream that somebody else has coded, one for each frame, from the beginning again at its end.
private final class TapeEncoder: Encoder, @unchecked Sendable {
  let engine = "tape 1"
  let capabilities: EncoderCapabilities = []
  let inputFormats: [PixelFormat] = [.i420]
  private let pictures: [[UInt8]]
  private var next = 0

  init(_ pictures: [[UInt8]]) { self.pictures = pictures }

  func submit<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {
    pictures[next % pictures.count].withUnsafeBytes { sink.append($0) }
    next += 1
    sink.finishPicture(pts: frame.pts)
  }

  func reconfigure(_ configuration: EncoderConfiguration) throws(Failure) -> Bool { true }
  func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
}

private struct TapeFactory: EncoderFactory {
  var pictures: [[UInt8]]
  let name = "tape"
  let codecs: [Codec] = [.h265]
  let isHardware = false
  let priority = 1
  func capabilities(for codec: Codec) -> EncoderCapabilities { [] }
  func settings(for codec: Codec) -> EngineSettings { [] }
  func profiles(for codec: Codec) -> [String] { ["main"] }
  func validate(_ configuration: EncoderConfiguration) throws(Failure) {}
  func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder { TapeEncoder(pictures) }
}

/// What the reports say of how a stream is coded is read from that stream: each field is seen with two values.
@Suite(.ownThread) struct EncoderSyntaxTests {
  private static func stream(_ options: String) throws -> [[UInt8]] {
    let made = try Child.run([
      "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:d=0.4:r=25", "-pix_fmt", "yuv420p", "-c:v",
      "libx265", "-x265-params", "log-level=none:aud=1:repeat-headers=1:bframes=0:keyint=5:scenecut=0:\(options)",
      "-f", "hevc", "pipe:1",
    ])
    let bytes = [UInt8](made.output)
    // A delimiter stands before each picture.
    let starts = bytes.indices.dropLast(4).filter {
      bytes[$0] == 0 && bytes[$0 + 1] == 0 && bytes[$0 + 2] == 1 && bytes[$0 + 3] >> 1 & 63 == 35
    }
    try #require(starts.count == 10)
    return zip(starts, starts.dropFirst() + [bytes.count]).map { Array(bytes[$0..<$1]) }
  }

  private static func syntax(
    _ deblocking: Bool, tc: Int, beta: Int, sao: Bool, smoothing: Bool, cb: Int, cr: Int
  ) -> H265Syntax {
    var syntax = H265Syntax()
    syntax.profile = "main"
    syntax.deblocking = deblocking
    (syntax.tcOffset, syntax.betaOffset) = (tc, beta)
    (syntax.saoLuma, syntax.saoChroma) = (sao, sao)
    syntax.strongIntraSmoothing = smoothing
    (syntax.cbQPOffset, syntax.crQPOffset) = (cb, cr)
    return syntax
  }

  @Test(arguments: [
    (
      "no-deblock=1:no-sao=1:no-strong-intra-smoothing=1:qp=30", 30,
      syntax(false, tc: 0, beta: 0, sao: false, smoothing: false, cb: 0, cr: 0)
    ),
    (
      "deblock=-2,3:sao=1:strong-intra-smoothing=1:cbqpoffs=-3:crqpoffs=4:qp=40", 40,
      syntax(true, tc: -2, beta: 3, sao: true, smoothing: true, cb: -3, cr: 4)
    ),
  ])
  func theFieldsOfAnH265ChannelAreThoseOfItsStream(_ options: String, _ qp: Int, _ wanted: H265Syntax) throws {
    let graph = try MediaGraph(
      engines: EngineCatalogue(
        encoders: [TapeFactory(pictures: try Self.stream(options))], sources: SoftwareCodecs.sourceFactories()),
      allocator: MemfdAllocator(), options: GraphOptions(workers: 2).patient)
    let input = try graph.make(
      ObjectPath("vi/0")!,
      settings: [
        "input": .text("pattern"), "width": .integer(320), "height": .integer(180), "format": .text("i420"),
        "fps": .rate(.thirty),
      ])
    let path = ObjectPath("venc/0")!
    let channel = try graph.make(path, settings: ["codec": .text("h265"), "rc_mode": .text("fixqp")])
    graph.bind(receiver: path, source: ObjectPath("vi/0")!)
    defer {
      for object in [channel, input] { object.stop() }
      for object in [channel, input] { object.retire() }
      graph.close()
    }
    try channel.start()
    // Before the first picture nothing is known.
    #expect(graph.encodersReport().channels.first?.syntax == .h265(H265Syntax()))
    try input.start()
    #expect(eventually { graph.encodersReport().channels.first?.syntax == .h265(wanted) })
    // Of the predicted pictures; the key pictures have their own.
    #expect(eventually { graph.encodersReport().channels.first?.rateControl.run.startQP == qp })
  }
}

// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

/// An engine of which only the flags are looked at.
private final class Flags: Encoder, @unchecked Sendable {
  let engine = "flags"
  var capabilities: EncoderCapabilities = [.forceType, .perFrameQP]
  let inputFormats: [PixelFormat] = []
  var placesKeyFrames = false
  var inside = 0
  func submit<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {}
  func reconfigure(_ configuration: EncoderConfiguration) throws(Failure) -> Bool { true }
  func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
}

@Suite(.ownThread) struct EngineRateTests {
  private let engine = Flags()
  private let obeyed: EngineSettings = [
    EngineSetting(.gop, live: true), EngineSetting(.keyQP, live: true, usual: 20),
    EngineSetting(.predictedQP, live: true, usual: 23),
  ]

  private func configuration(_ settings: ObjectSettings) -> EncoderConfiguration {
    EncoderConfiguration(codec: .h264, width: 64, height: 64, format: .i420, frameRate: .thirty, settings: settings)
  }

  private func control(_ settings: ObjectSettings) -> EngineRate {
    let control = EngineRate(engine, obeyed: obeyed)
    control.configure(configuration(settings))
    return control
  }

  /// Numbers of the frames that are asked to be key pictures, of `count`; each comes as it was asked for.
  private func keys(_ control: EngineRate, _ count: Int, asking: Set<Int> = [], skipping: Set<Int> = []) -> [Int] {
    (0..<count).filter { number in
      let directive = control.directive(wantsKey: asking.contains(number))
      let isKey = directive.type == .idr
      if !skipping.contains(number) { control.coded(isKey ? .idr : .p, isKey: isKey, qp: directive.qp, bytes: 100) }
      return isKey
    }
  }

  @Test func keyFramesComeAtTheDistanceAskedCountedFromTheLastOne() {
    #expect(keys(control(["gop": .integer(5)]), 12) == [0, 5, 10])
    #expect(keys(control(["gop": .integer(5)]), 12, asking: [3]) == [0, 3, 8])
  }

  @Test func aShorterGroupCountsFromTheLastKeyFrame() {
    let control = control(["gop": .integer(10)])
    #expect(keys(control, 4) == [0])
    control.configure(configuration(["gop": .integer(3)]))
    #expect(keys(control, 4) == [0, 3])
  }

  @Test func anEngineThatSkipsAKeyFrameOwesIt() {
    #expect(keys(control(["gop": .integer(5)]), 8, skipping: [0, 1]) == [0, 1, 2, 7])
  }

  /// With frames inside nobody knows yet what became of the key frame.
  @Test func aKeyFrameThatIsStillInsideIsNotAskedForAgain() {
    engine.inside = 1
    let control = control(["gop": .integer(5)])
    #expect(control.directive(wantsKey: true).type == .idr)
    #expect((0..<4).allSatisfy { _ in control.directive(wantsKey: false).type == nil })
    #expect(control.directive(wantsKey: false).type == .idr)
  }

  @Test func anEngineThatPlacesKeyFramesItselfIsAskedForThoseOfUsersOnly() {
    engine.placesKeyFrames = true
    #expect(keys(control(["gop": .integer(5)]), 12, asking: [0, 7]) == [0, 7])
  }

  @Test func aFixedQuantiserIsThatOfTheKindOfPictureAndElseTheEngines() {
    func quantisers(_ settings: ObjectSettings) -> [Int?] {
      let control = control(settings)
      return (0..<3).map { _ in
        let directive = control.directive(wantsKey: false)
        control.coded(.p, isKey: directive.type == .idr, qp: nil, bytes: 1)
        return directive.qp
      }
    }
    #expect(quantisers(["gop": .integer(2), "rc_mode": .text("fixqp"), "qp_p": .integer(30)]) == [20, 30, 20])
    #expect(quantisers(["gop": .integer(2), "rc_mode": .text("cbr"), "qp_p": .integer(30)]) == [nil, nil, nil])
    engine.capabilities = .forceType
    #expect(quantisers(["gop": .integer(2), "rc_mode": .text("fixqp"), "qp_p": .integer(30)]) == [nil, nil, nil])
  }
}

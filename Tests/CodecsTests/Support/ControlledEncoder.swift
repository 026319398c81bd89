// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// An encoder with the rate control that drives it in a channel: which pictures become key pictures, and their QP.
final class ControlledEncoder: Encoder, @unchecked Sendable {
  let base: any Encoder
  private let control: any RateController
  private var look = PictureLook()
  private var parser: PictureParser
  private(set) var reencoded = 0

  init(_ base: any Encoder, _ configuration: EncoderConfiguration, _ factory: any EncoderFactory) {
    self.base = base
    control = factory.rateController(for: base, configuration)
    parser = PictureParser(configuration.codec)
  }

  var engine: String { base.engine }
  var capabilities: EncoderCapabilities { base.capabilities }
  var inputFormats: [PixelFormat] { base.inputFormats }

  func submit<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {
    var made = PictureList()
    let activity = control.looks ? look.look(at: frame) : nil
    guard
      let asked = control.directive(wantsKey: directive.type == .idr, pts: frame.pts, activity: activity)
    else { return }
    try base.submit(frame, asked, into: &made)
    while made.pictures.count == 1, case .again(let again) = control.fate(bytes: made.pictures[0].count) {
      made = PictureList()
      try base.submit(frame, again, into: &made)
      reencoded += 1
    }
    for (picture, pts) in zip(made.pictures, made.times) {
      let info = picture.withUnsafeBytes { parser.parse($0) }
      control.coded(info.type ?? .p, isKey: info.isKey, qp: info.qp, bytes: picture.count)
      picture.withUnsafeBytes { sink.append($0) }
      sink.finishPicture(pts: pts)
    }
  }

  func reconfigure(_ configuration: EncoderConfiguration) throws(Failure) -> Bool {
    guard try base.reconfigure(configuration) else { return false }
    control.configure(configuration)
    return true
  }

  func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) { try base.drain(into: &sink) }
}

// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// An open encoder and what it needs beside it. Used by the session's worker, or by the control lane while the
/// session is halted.
///
/// Ownership: owns the encoder, the converter and the pool of converted pictures.
final class VencEngine {
  let encoder: any Encoder
  let factory: any EncoderFactory
  let writer: PictureWriter
  private let node: Node
  private let painting: PaintStage?
  /// Who looks at a picture as the encoder gets it.
  private let tap: FrameTap
  /// What the encoder was last told.
  private(set) var configuration: EncoderConfiguration
  /// Size and format of the frames it was opened for.
  let layout: FrameLayout
  let control: any RateController
  private var look = PictureLook()
  /// Of a device that holds a bitrate by itself, and takes another one while it runs.
  private var supervisor: BitrateSupervisor?
  /// It is to be asked for another bitrate before the next frame.
  private var isToBeAsked = false
  /// Makes pictures the engine takes out of those that come.
  let conversion: Converter?
  /// Pictures it gave.
  var pictures: UInt64 = 0
  private var helped: Int64 = 0

  init(
    factory: any EncoderFactory, configuration: EncoderConfiguration, layout: FrameLayout, writer: PictureWriter,
    channel: ChannelCore
  ) throws(Failure) {
    let (node, environment) = (channel.node, channel.environment)
    painting = channel.painting
    tap = channel.tap
    self.factory = factory
    self.configuration = configuration
    self.layout = layout
    self.writer = writer
    self.node = node
    let encoder = try factory.open(configuration)
    self.encoder = encoder
    writer.recordsWork = encoder.waker != nil
    self.control = factory.rateController(for: encoder, configuration)
    let obeyed = factory.settings(for: configuration.codec)
    if factory.isHardware, control.status == nil, configuration.rateMode != .fixqp, obeyed[.bitrate]?.isLive ?? false {
      supervisor = BitrateSupervisor(
        wanted: Double(configuration.bitrate) * 1000, gop: configuration.gop,
        range: obeyed[.bitrate]?.range.map { Double($0.lowerBound) * 1000...Double($0.upperBound) * 1000 } ?? 1...1e9)
    }
    writer.onLost = { [control] in control.lost($0) }
    // One with several pictures inside has gone on when the first of them comes.
    if encoder.waker == nil { writer.fate = { [control] in control.fate(bytes: $0) } }
    let wanted = configuration.codec.samples(of: layout)
    let takesFormat = encoder.inputFormats.contains(layout.format)
    // An engine that takes RGB makes of it what it codes.
    let takesSamples = layout.format.isRGB || wanted.hasSameSamples(as: layout.color)
    if takesFormat, takesSamples, configuration.transform.isIdentity {
      conversion = nil
    } else {
      conversion = try Self.conversion(
        from: layout, to: takesFormat ? [layout.format] : encoder.inputFormats, configuration, saying: wanted,
        node: node, engine: encoder.engine,
        depth: factory.isHardware ? configuration.depth : 1, environment: environment)
    }
    writer.describe(description(configuration))
  }

  private static func conversion(
    from layout: FrameLayout, to formats: [PixelFormat], _ configuration: EncoderConfiguration,
    saying color: ColorDescription, node: Node, engine: String, depth: Int, environment: Environment
  ) throws(Failure) -> Converter {
    let transform = configuration.transform
    for format in formats {
      guard var target = FrameLayout(format, width: configuration.width, height: configuration.height) else { continue }
      target.color = color
      target.aspect = transform.rotation % 180 == 0 ? layout.aspect : layout.aspect.turned
      let able = environment.scalers("auto", layout, transform: transform, to: target, for: node)
      guard !able.isEmpty else { continue }
      // One being made, and those the engine may still look at.
      return try Converter.scaling(
        layout, to: target, transform: transform, by: able,
        in: Converter.Place(name: "venc\(node.path.number)", node: node, count: 1 + depth), environment)
    }
    throw Failure(
      .notSupported, "convert", on: "\(node.path)",
      "\(engine) takes \(formats.map(\.description).joined(separator: ", ")) in \(color), and no scaler here makes that of "
        + "\(layout.format) in \(layout.color)\(transform.isIdentity ? "" : ", turned or mirrored")")
  }

  /// What the stream is to say of its pictures.
  private func description(_ configuration: EncoderConfiguration) -> StreamDescription {
    StreamDescription(
      color: configuration.codec.samples(of: coded), aspect: coded.aspect, frameRate: configuration.frameRate)
  }

  /// The pictures the engine is given.
  var coded: FrameLayout { conversion?.layout ?? layout }

  /// `none`, or what converts to which format.
  var conversionText: String {
    guard let conversion else { return "none" }
    let (from, to) = (layout.color, conversion.layout.color)
    let isRecolored = !layout.format.isRGB && !from.hasSameSamples(as: to)
    return "\(layout.format)\(isRecolored ? " \(from)" : "") to \(conversion.layout.format)"
      + "\(isRecolored ? " \(to)" : "") by \(conversion.engineName)"
  }

  /// The device a frame waits for, `nil` where only the CPU works.
  var device: String? { factory.device ?? conversion?.device }

  /// - Returns: false when it must be opened anew.
  func reconfigure(_ new: EncoderConfiguration) throws(Failure) -> Bool {
    guard new != configuration else { return true }
    supervisor?.change(wanted: Double(new.bitrate) * 1000, gop: new.gop)
    // What the headers say changes at key pictures alone, and with refreshes in their place none would come.
    if new.refreshesColumns, new.frameRate != configuration.frameRate { return false }
    guard try encoder.reconfigure(asked(new)) else { return false }
    isToBeAsked = false
    configuration = new
    control.configure(new)
    writer.describe(description(new))
    return true
  }

  // MARK: a device's bitrate

  /// What the device is told of these settings.
  private func asked(_ wanted: EncoderConfiguration) -> EncoderConfiguration {
    guard let supervisor else { return wanted }
    var told = wanted
    told.settings[.bitrate] = max(1, Int((supervisor.asked / 1000).rounded()))
    return told
  }

  /// What is asked of the device and why; `nil` where nothing is.
  var supervision: String? { supervisor?.text }

  /// A picture came.
  /// - Returns: whether there is something new to tell about it.
  func supervise(isKey: Bool, bytes: Int, pts: Int64) -> Bool {
    let before = supervisor?.finding
    if supervisor?.coded(isKey: isKey, bits: Double(bytes) * 8, at: pts) ?? false { isToBeAsked = true }
    return isToBeAsked || supervisor?.finding != before
  }

  private func ask() throws(Failure) {
    guard isToBeAsked else { return }
    isToBeAsked = false
    // One that does not take it while it runs is left to itself.
    if try !encoder.reconfigure(asked(configuration)) { supervisor = nil }
  }

  enum Result {
    case encoded(copied: Int)
    case noBuffer
    /// The rate control leaves the frame out.
    case leftOut
    /// Nothing could be drawn into it, and without it must not go on; counted as dropped.
    case unpainted
  }

  /// Whether pictures of frames that were given come later.
  var isAsynchronous: Bool { encoder.waker != nil }

  func encode(
    _ frame: borrowing Frame, wantsKey: Bool, user: UserSlot, start: Int64, wait: Int64
  ) throws(Failure) -> Result {
    var copied = 0
    guard let conversion else {
      return try encode(frame, named: frame.name, wantsKey, start, wait, copied)
    }
    let picture: Frame?
    do throws(Failure) {
      picture = try conversion.picture(of: frame, as: user, copied: &copied)
    } catch {
      node.work.drop(.deviceError, frame.name)
      throw error
    }
    guard let picture else { return .noBuffer }
    return try encode(picture, named: frame.name, wantsKey, start, wait, copied)
  }

  /// Draws what is attached into a picture the encoder takes, and gives it to the encoder.
  /// - Parameter copied: bytes of pixels the CPU wrote for it so far.
  private func encode(
    _ picture: borrowing Frame, named name: DroppedFrame, _ wantsKey: Bool, _ start: Int64, _ wait: Int64, _ copied: Int
  ) throws(Failure) -> Result {
    guard let painting, painting.isActive else { return try code(picture, name, wantsKey, start, wait, copied) }
    var copied = copied
    switch painting.paint(picture, copied: &copied) {
    case .same:
      tap.pass(picture)
      return try code(picture, name, wantsKey, start, wait, copied)
    case .copy(let made):
      tap.pass(made)
      return try code(made, name, wantsKey, start, wait, copied)
    case .lost:
      return .unpainted
    }
  }

  private func code(
    _ picture: borrowing Frame, _ name: DroppedFrame, _ wantsKey: Bool, _ start: Int64, _ wait: Int64, _ copied: Int
  ) throws(Failure) -> Result {
    guard let directive = directive(for: picture, wantsKey) else { return .leftOut }
    writer.expect(name, start: start, wait: wait)
    var sink = RingSink(writer: writer)
    return .encoded(copied: copied + (try give(picture, directive, &sink)))
  }

  private func directive(for frame: borrowing Frame, _ wantsKey: Bool) -> EncodeDirective? {
    control.directive(
      wantsKey: wantsKey, pts: frame.pts, activity: control.looks ? look.look(at: frame) : nil)
  }

  /// - Returns: bytes of pixels the CPU wrote on the way into the engine.
  private func give(
    _ frame: borrowing Frame, _ directive: EncodeDirective, _ sink: inout RingSink
  ) throws(Failure) -> Int {
    let before = encoder.bytesCopied
    do throws(Failure) {
      try ask()
      try encoder.submit(frame, directive, into: &sink)
      while let again = writer.takeAgain() { try encoder.submit(frame, again, into: &sink) }
    } catch {
      if isAsynchronous { writer.failedAll(error, isGiven: true) } else { writer.failedLast() }
      throw error
    }
    return Int(encoder.bytesCopied - before)
  }

  /// Processor time the encoder's own threads have used since this was asked last, nanoseconds.
  func help() -> Int64 {
    let now = encoder.processorTime
    defer { helped = now }
    return now - helped
  }

  /// Waits until a picture came of what is inside, or somebody ended the wait.
  func collect() throws(Failure) {
    var sink = RingSink(writer: writer)
    do throws(Failure) {
      try encoder.collect(into: &sink)
    } catch {
      writer.failedAll(error, isGiven: false)
      throw error
    }
  }

  /// Gets what is left inside out of the engine.
  func drain() throws(Failure) {
    var sink = RingSink(writer: writer)
    do throws(Failure) {
      try encoder.drain(into: &sink)
    } catch {
      if isAsynchronous { writer.failedAll(error, isGiven: false) }
      throw error
    }
  }
}

extension Codec {
  /// The samples that pictures of such a layout are coded as: a JPEG reader knows one kind only, and one of VP8 (RFC 6386, 9.2) the
  /// other; H.264 and H.265 say what they have, FWHT's header is the device's.
  func samples(of layout: FrameLayout) -> ColorDescription {
    switch self {
    case .mjpeg: layout.color.sampled(as: .jfif)
    case .vp8: layout.color.sampled(as: .bt601)
    case .h264, .h265, .fwht: layout.format.isRGB ? layout.color.sampled(as: .bt601) : layout.color
    }
  }
}

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
  /// What the encoder was last told.
  private(set) var configuration: EncoderConfiguration
  /// Size and format of the frames it was opened for.
  let layout: FrameLayout
  let control: any RateController
  /// Makes pictures the engine takes out of those that come.
  let conversion: Converter?
  /// Pictures it gave.
  var pictures: UInt64 = 0
  private var helped: Int64 = 0

  init(
    factory: any EncoderFactory, configuration: EncoderConfiguration, layout: FrameLayout, writer: PictureWriter,
    node: Node, environment: Environment
  ) throws(Failure) {
    self.factory = factory
    self.configuration = configuration
    self.layout = layout
    self.writer = writer
    self.node = node
    let encoder = try factory.open(configuration)
    self.encoder = encoder
    writer.recordsWork = encoder.waker != nil
    self.control = EngineRate(encoder, obeyed: factory.settings(for: configuration.codec))
    control.configure(configuration)
    if encoder.inputFormats.contains(layout.format) {
      conversion = nil
    } else {
      conversion = try Self.conversion(
        from: layout, to: encoder.inputFormats, node: node, engine: encoder.engine,
        depth: factory.isHardware ? configuration.depth : 1, environment: environment)
    }
  }

  private static func conversion(
    from layout: FrameLayout, to formats: [PixelFormat], node: Node, engine: String, depth: Int,
    environment: Environment
  ) throws(Failure) -> Converter {
    for format in formats {
      guard let target = FrameLayout(format, width: Int(layout.width), height: Int(layout.height)) else { continue }
      let able = environment.scalers("auto", layout, to: target)
      guard !able.isEmpty else { continue }
      // One being made, and those the engine may still look at.
      return try Converter.scaling(
        layout, to: target, by: able,
        in: Converter.Place(name: "venc\(node.path.number)", user: node.user, count: 1 + depth), environment)
    }
    throw Failure(
      .notSupported, "convert", on: "\(node.path)",
      "\(engine) takes \(formats.map(\.description).joined(separator: ", ")), and no scaler here makes that of "
        + "\(layout.format)")
  }

  /// `none`, or what converts to which format.
  var conversionText: String {
    conversion.map { "\(layout.format) to \($0.layout.format) by \($0.engineName)" } ?? "none"
  }

  /// The device a frame waits for, `nil` where only the CPU works.
  var device: String? { factory.device ?? conversion?.device }

  /// - Returns: false when it must be opened anew.
  func reconfigure(_ new: EncoderConfiguration) throws(Failure) -> Bool {
    guard new != configuration else { return true }
    guard try encoder.reconfigure(new) else { return false }
    configuration = new
    control.configure(new)
    return true
  }

  enum Result {
    case encoded(copied: Int)
    case noBuffer
  }

  /// Whether pictures of frames that were given come later.
  var isAsynchronous: Bool { encoder.waker != nil }

  func encode(
    _ frame: borrowing Frame, wantsKey: Bool, user: UserSlot, start: Int64, wait: Int64
  ) throws(Failure) -> Result {
    let directive = control.directive(wantsKey: wantsKey)
    var sink = RingSink(writer: writer)
    guard let conversion else {
      writer.expect(frame.name, start: start, wait: wait)
      return .encoded(copied: try give(frame, directive, &sink))
    }
    var copied = 0
    let picture: Frame?
    do throws(Failure) {
      picture = try conversion.picture(of: frame, as: user, copied: &copied)
    } catch {
      node.work.drop(.deviceError, frame.name)
      throw error
    }
    guard let picture else { return .noBuffer }
    writer.expect(frame.name, start: start, wait: wait)
    return .encoded(copied: copied + (try give(picture, directive, &sink)))
  }

  /// - Returns: bytes of pixels the CPU wrote on the way into the engine.
  private func give(
    _ frame: borrowing Frame, _ directive: EncodeDirective, _ sink: inout RingSink
  ) throws(Failure) -> Int {
    let before = encoder.bytesCopied
    do throws(Failure) {
      try encoder.submit(frame, directive, into: &sink)
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

// SPDX-License-Identifier: Apache-2.0

/// What a V4L2 node is for, from its capabilities and the formats its queues offer.
public enum VideoRole: Sendable, Equatable {
  /// A camera, an HDMI input.
  case capture
  /// A video output that is no display.
  case output
  /// Stateful encoder of these stream formats.
  case encoder([FourCC])
  /// Stateful decoder of these stream formats.
  case decoder([FourCC])
  /// Decoder that wants the application to parse the stream (Request API).
  case statelessDecoder([FourCC])
  /// Raw in, raw out: scaler, converter, rotator.
  case scaler
  /// Metadata, radio, touch: nothing the runtime uses.
  case other

  /// Formats of parsed streams; `videodev2.h` gives them the compressed flag like the others.
  private static let stateless: Set<String> = ["S264", "S265", "VP8F", "VP9F", "AV1F", "MG2S", "SFWH"]

  static func classify(
    _ flags: V4L2Capability.Flags, memoryToMemory: Bool, capture: [FormatDescription], output: [FormatDescription]
  ) -> VideoRole {
    guard flags.contains(.streaming) else { return .other }
    if memoryToMemory {
      let coded = { (formats: [FormatDescription]) in formats.filter { $0.flags.contains(.compressed) }.map(\.fourcc) }
      let (codedIn, codedOut) = (coded(output), coded(capture))
      let parsed = codedIn.filter { stateless.contains($0.description) }
      if !codedIn.isEmpty { return parsed.isEmpty ? .decoder(codedIn) : .statelessDecoder(parsed) }
      if !codedOut.isEmpty { return .encoder(codedOut) }
      return capture.isEmpty || output.isEmpty ? .other : .scaler
    }
    if !flags.isDisjoint(with: [.capture, .captureMultiplanar]) { return capture.isEmpty ? .other : .capture }
    if !flags.isDisjoint(with: [.output, .outputMultiplanar]) { return .output }
    return .other
  }
}

extension V4L2Device {
  public func role() throws(KernelError) -> VideoRole {
    let capture = try captureType.map { (type) throws(KernelError) in try formats(of: type) } ?? []
    let output = try outputType.map { (type) throws(KernelError) in try formats(of: type) } ?? []
    return VideoRole.classify(
      capability.flags, memoryToMemory: isMemoryToMemory, capture: capture, output: output)
  }
}

extension VideoRole: CustomStringConvertible {
  /// `capture`, `encoder (H264 HEVC)`, `scaler`.
  public var description: String {
    func list(_ formats: [FourCC]) -> String { formats.map(\.description).joined(separator: " ") }
    return switch self {
    case .capture: "capture"
    case .output: "output"
    case .encoder(let formats): "encoder (\(list(formats)))"
    case .decoder(let formats): "decoder (\(list(formats)))"
    case .statelessDecoder(let formats): "stateless decoder (\(list(formats)))"
    case .scaler: "scaler"
    case .other: "other"
    }
  }
}

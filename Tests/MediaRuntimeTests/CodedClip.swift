// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import MediaRuntime

/// A coded stream that FFmpeg's encoders have made, picture by picture.
struct CodedClip {
  let codec: Codec
  let pictures: [[UInt8]]

  /// - Parameter size: `320x240`.
  init(_ codec: Codec, size: String = "320x240", pictures count: Int = 40, gop: Int = 10) throws {
    self.codec = codec
    let coder: [String] =
      switch codec {
      case .h265: ["libx265", "-x265-params", "bframes=0:keyint=\(gop):min-keyint=\(gop):scenecut=0:log-level=none"]
      case .mjpeg: ["mjpeg"]
      default: ["libx264", "-bf", "0", "-g", "\(gop)", "-keyint_min", "\(gop)", "-sc_threshold", "0"]
      }
    let format = codec == .h265 ? "hevc" : codec.rawValue
    let outcome = try Child.run(
      ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=\(size):rate=30", "-frames:v", "\(count)"]
        + ["-pix_fmt", codec == .mjpeg ? "yuvj420p" : "yuv420p", "-c:v"] + coder + ["-f", format, "-"])
    try #require(outcome.status == 0, "\(outcome.errors)")
    var splitter = AccessUnitSplitter(codec)
    outcome.output.withUnsafeBytes { splitter.append($0) }
    var found: [[UInt8]] = []
    while let unit = splitter.next() { found.append(Array(unit)) }
    if let last = splitter.finish() { found.append(Array(last)) }
    pictures = found
    try #require(pictures.count == count)
  }

  /// Puts pictures into a ring as an encoder channel does.
  /// - Parameter bare: parameter sets come with the first key picture only.
  func put(_ range: Range<Int>, into ring: PacketRing, bare: Bool = false, time: (Int) -> Int64) {
    var parser = PictureParser(codec)
    for index in range {
      pictures[index].withUnsafeBytes { unit in
        let info = parser.parse(unit)
        let sets = ParameterSets.leading(unit, codec)
        let isCut = bare && index > 0 && info.hasParameterSets
        ring.append(isCut ? UnsafeRawBufferPointer(rebasing: unit[sets.count...]) : unit)
        let coded = CodedPicture(
          type: info.type ?? .p, isKey: info.isKey, hasParameterSets: info.hasParameterSets && !isCut)
        _ = ring.finish(
          pts: time(index), picture: coded, parameterSets: info.hasParameterSets && !sets.isEmpty ? sets : nil)
      }
    }
  }
}

/// All a stream has to give now, read in steps.
func everything(of stream: any CodedStream, step: Int = 50_000) -> (bytes: [UInt8], end: StreamReader.Outcome) {
  var bytes: [UInt8] = []
  while true {
    var outcome = StreamReader.Outcome.wouldBlock
    bytes += [UInt8](unsafeUninitializedCapacity: step) { buffer, count in
      outcome = stream.read(
        into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<step]))
      if case .bytes(let filled) = outcome { count = filled }
    }
    guard case .bytes = outcome else { return (bytes, outcome) }
  }
}

// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The forms in which a channel's coded stream can be read. The raw value is the file's name.
public enum StreamForm: String, Sendable, CaseIterable {
  /// As it is coded: H.264 and H.265 with start codes (Annex B), JPEG pictures one after the other, VP8 as IVF.
  case coded = "stream"
  /// An MPEG transport stream.
  case transportStream = "stream.ts"
  /// MP4 in fragments.
  case fragmentedMP4 = "stream.mp4"
  /// JPEG pictures as the parts of a multipart message.
  case multipart = "stream.mjpeg"

  /// One line for `stream.info`.
  var summary: String {
    switch self {
    case .coded: "the coded stream as it is"
    case .transportStream: "MPEG transport stream, for players and recorders"
    case .fragmentedMP4: "MP4 in fragments of one picture, for browsers and players"
    case .multipart: "multipart/x-mixed-replace; boundary=\(MultipartPictures.boundary), for browsers"
    }
  }

  /// Why a stream of this coding is not there in this form; `nil` where it is.
  func obstacle(_ codec: Codec) -> String? {
    switch self {
    case .coded: nil
    case .transportStream, .fragmentedMP4:
      codec == .h264 || codec == .h265 ? nil : "it holds h264 and h265, and the channel codes \(codec)"
    case .multipart: codec == .mjpeg ? nil : "it holds JPEG pictures, and the channel codes \(codec)"
    }
  }

  /// Refuses pictures it does not hold: the channel was told to code otherwise after its stream had been opened.
  @discardableResult
  func require(_ codec: Codec?) throws(Failure) -> Codec {
    guard let codec else { throw Failure(.notSupported, "read", on: rawValue, "nobody knows what the channel codes") }
    if let obstacle = obstacle(codec) { throw Failure(.notSupported, "read", on: rawValue, obstacle) }
    return codec
  }

  var container: ContainerFormat? {
    switch self {
    case .coded, .multipart: nil
    case .transportStream: .transportStream
    case .fragmentedMP4: .fragmentedMP4
    }
  }

  /// Why a channel's stream cannot be read in this form now; `nil` where it can.
  /// - Parameter codec: `nil` where the channel has yet to be told.
  func obstacle(_ codec: Codec?, _ muxer: (any MuxerFactory)?) -> String? {
    if let codec, let obstacle = obstacle(codec) { return obstacle }
    guard container != nil else { return nil }
    guard let muxer else { return "nothing here makes it" }
    return muxer.absence?.detail
  }
}

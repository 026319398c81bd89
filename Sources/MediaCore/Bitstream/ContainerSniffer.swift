// SPDX-License-Identifier: Apache-2.0

/// Tells files and transports that have coded pictures somewhere inside from the pictures themselves: fed as if they were a
/// stream, some would even be decoded, as rubbish.
public enum ContainerSniffer {
  /// Bytes that are enough to tell.
  public static let enough = 5 * 208

  /// - Returns: why the bytes are no stream that can be fed, and what to do; `nil` where they may be one.
  public static func verdict(_ bytes: UnsafeRawBufferPointer) -> (reason: String, hint: String)? {
    if let coding = IVFCutter.coding(bytes), coding != "VP80" {
      let name = ["VP90": "VP9", "AV01": "AV1", "H264": "H.264", "HEVC": "H.265"][coding] ?? "\u{22}\(coding)\u{22}"
      return ("an IVF file of \(name), not of VP8", "ffmpeg -i IN -c:v libx264 -f h264 - > feed")
    }
    return name(bytes).map { ("a container (\($0)), no stream of pictures", hint) }
  }

  /// - Returns: the name of what the bytes begin like, or `nil`.
  public static func name(_ bytes: UnsafeRawBufferPointer) -> String? {
    if let magic = magics.first(where: { $0.stands(in: bytes) }) { return magic.name }
    return transportStream(bytes)
  }

  /// How a file is made into a stream that can be fed, and what else can be done.
  public static let hint = "ffmpeg -i IN -c copy -f h264 - > feed, or write file:/path to input while it is stopped"

  private struct Magic {
    let at: Int
    let bytes: [UInt8]
    let name: String
    init(_ at: Int, _ text: String, _ name: String) { self.init(at, Array(text.utf8), name) }
    init(_ at: Int, _ bytes: [UInt8], _ name: String) { (self.at, self.bytes, self.name) = (at, bytes, name) }
    func stands(in data: UnsafeRawBufferPointer) -> Bool {
      data.count >= at + bytes.count && data[at..<at + bytes.count].elementsEqual(bytes)
    }
  }

  /// ISO/IEC 14496-12 4.3; RFC 8794 11.2.1; Microsoft's RIFF and ASF; Adobe's FLV; ISO/IEC 13818-1 2.5.3.3; RFC 3533 6.
  private static let magics = [
    Magic(4, "ftyp", "MP4"), Magic(4, "moov", "MOV"), Magic(4, "moof", "MP4"), Magic(4, "styp", "MP4"),
    Magic(4, "mdat", "MOV"), Magic(4, "wide", "MOV"), Magic(0, [0x1a, 0x45, 0xdf, 0xa3], "Matroska or WebM"),
    Magic(0, "RIFF", "AVI"), Magic(0, "FLV\u{1}", "FLV"), Magic(0, [0, 0, 1, 0xba], "MPEG program stream"),
    Magic(0, [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11], "ASF"), Magic(0, "OggS", "Ogg"),
  ]

  /// Packets of 188 bytes begin with a sync byte each (ISO/IEC 13818-1 2.4.3.2); on discs a time stands before them, and
  /// broadcasters put a checksum behind.
  private static func transportStream(_ bytes: UnsafeRawBufferPointer) -> String? {
    for (size, first) in [(188, 0), (192, 4), (204, 0), (208, 0)] {
      let packets = (bytes.count - first + size - 1) / size
      guard packets >= 3 else { continue }
      if (0..<min(packets, 5)).allSatisfy({ bytes[first + $0 * size] == 0x47 }) {
        return "MPEG transport stream (packets of \(size) bytes)"
      }
    }
    return nil
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Tells the coding of an elementary stream from its first bytes.
public enum StreamSniffer {
  /// Bytes that are enough to tell: parameter sets stand at the front of a stream that can be decoded from its start.
  public static let enough = 256 << 10

  /// - Returns: `nil` when the bytes are none of the codings, or too few.
  public static func codec(_ bytes: UnsafeRawBufferPointer) -> Codec? {
    if bytes.count >= 3, bytes[0] == 0xff, bytes[1] == 0xd8, bytes[2] == 0xff { return .mjpeg }
    if IVFCutter.isHeader(bytes) { return .vp8 }
    if bytes.count >= FWHTHeader.byteCount, FWHTHeader.cut(bytes) != .more, isFWHT(bytes) { return .fwht }
    // A parameter set that can be read as one of H.264 and not as one of H.265, or the other way round.
    for unit in AnnexBUnits(bytes) where unit.count > 3 && unit[0] & 0x80 == 0 {
      if unit[0] & 31 == 7, H264Sequence.read(UnsafeRawBufferPointer(rebasing: unit[1...])) != nil { return .h264 }
      if unit[0] == 0x42, unit[1] == 1,
        HEVCSequence.read(UnsafeRawBufferPointer(rebasing: unit[2...])) != nil
      {
        return .h265
      }
    }
    return nil
  }

  /// Whether the bytes have units with start codes as H.264 and H.265 have: they may be a stream whose parameter sets are not
  /// among them.
  public static func hasUnits(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var count = 0
    for unit in AnnexBUnits(bytes) {
      guard unit[0] & 0x80 == 0 else { return false }
      count += 1
    }
    return count > 1
  }

  /// Whether the bytes begin as a file of a stream does, as far as is worth reading it without a demultiplexer.
  public static func isElementary(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 4 else { return false }
    if let first = AnnexBUnits(bytes).first(where: { _ in true }), bytes[0] == 0, bytes[1] == 0,
      bytes[2] == 1 || (bytes[2] == 0 && bytes[3] == 1)
    {
      // Program streams have start codes too, with the top bit set behind them.
      return first[0] & 0x80 == 0 && codec(bytes) != nil
    }
    return bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff || isFWHT(bytes) || IVFCutter.isHeader(bytes)
  }

  private static func isFWHT(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count >= 8 && bytes[..<4].allSatisfy { $0 == 0x4f } && bytes[4..<8].allSatisfy { $0 == 0xff }
  }
}

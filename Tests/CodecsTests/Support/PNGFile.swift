// SPDX-License-Identifier: Apache-2.0

/// A PNG file made by hand, of any kind the format has: pixels are stored without compression.
struct PNGFile {
  enum Kind: UInt8 {
    case gray = 0
    case rgb = 2
    case palette = 3
    case grayAlpha = 4
    case rgba = 6
  }

  var width: Int
  var height: Int
  var depth: Int
  var kind: Kind
  var isInterlaced = false
  var palette: [UInt8] = []
  var transparency: [UInt8] = []
  /// A sample of a pixel, of `depth` bits; of a palette its number.
  var sample: (_ x: Int, _ y: Int, _ channel: Int) -> Int

  var channels: Int { [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][Int(kind.rawValue)] ?? 1 }

  var bytes: [UInt8] {
    var file: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
    file += PNGFile.chunk(
      "IHDR",
      PNGFile.word(width) + PNGFile.word(height) + [UInt8(depth), kind.rawValue, 0, 0, isInterlaced ? 1 : 0])
    if !palette.isEmpty { file += PNGFile.chunk("PLTE", palette) }
    if !transparency.isEmpty { file += PNGFile.chunk("tRNS", transparency) }
    file += PNGFile.chunk("IDAT", PNGFile.stored(lines))
    return file + PNGFile.chunk("IEND", [])
  }

  /// Lines with the number of their filter, 0: none. Interlaced ones come in seven passes (the format's Adam7).
  private var lines: [UInt8] {
    let passes =
      isInterlaced
      ? [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
      : [(0, 0, 1, 1)]
    var made: [UInt8] = []
    for (left, top, across, down) in passes {
      for y in stride(from: top, to: height, by: down) {
        let columns = Array(stride(from: left, to: width, by: across))
        guard !columns.isEmpty else { continue }
        made.append(0)
        var (bits, count) = (0, 0)
        for x in columns {
          for channel in 0..<channels {
            bits = bits << depth | sample(x, y, channel)
            count += depth
            while count >= 8 {
              made.append(UInt8(truncatingIfNeeded: bits >> (count - 8)))
              count -= 8
            }
            bits &= 0xffff
          }
        }
        if count > 0 { made.append(UInt8(truncatingIfNeeded: bits << (8 - count))) }
      }
    }
    return made
  }

  static func word(_ value: Int) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
    let body = Array(name.utf8) + content
    return word(content.count) + body + word(Int(checksum(body)))
  }

  /// CRC-32 as PNG has it.
  static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var sum: UInt32 = 0xffff_ffff
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xedb8_8320 : sum >> 1 }
    }
    return ~sum
  }

  /// A zlib stream of stored blocks.
  static func stored(_ bytes: [UInt8]) -> [UInt8] {
    var made: [UInt8] = [0x78, 0x01]
    var at = 0
    repeat {
      let end = min(bytes.count, at + 65535)
      let count = end - at
      made += [
        end == bytes.count ? 1 : 0, UInt8(count & 255), UInt8(count >> 8), ~UInt8(count & 255), ~UInt8(count >> 8),
      ]
      made += bytes[at..<end]
      at = end
    } while at < bytes.count
    var (a, b) = (1, 0)
    for byte in bytes {
      a = (a + Int(byte)) % 65521
      b = (b + a) % 65521
    }
    return made + word(b << 16 | a)
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Reads a JPEG picture's headers: size from SOF, quality from the luma quantisation table (ITU-T T.81, annex B).
struct JPEGReader: Sendable {
  private var lastSum = -1
  private var lastQuality: Int?

  mutating func read(_ bytes: UnsafeRawBufferPointer, _ info: inout PictureInfo, _ syntax: inout StreamSyntax?) {
    guard bytes.count > 4, bytes[0] == 0xff, bytes[1] == 0xd8 else { return }
    var position = 2
    while position + 4 <= bytes.count {
      guard bytes[position] == 0xff else { return }
      let marker = bytes[position + 1]
      if marker == 0xff {
        position += 1
        continue
      }
      let length = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
      guard length >= 2, position + 2 + length <= bytes.count else { return }
      let body = UnsafeRawBufferPointer(rebasing: bytes[position + 4..<position + 2 + length])
      switch marker {
      case 0xdb: readTables(body, &info)
      case 0xc0, 0xc1, 0xc2: readFrame(body, &info, &syntax)
      case 0xda:
        info.slices = 1
        return
      default: break
      }
      position += 2 + length
    }
  }

  private func readFrame(
    _ body: UnsafeRawBufferPointer, _ info: inout PictureInfo, _ syntax: inout StreamSyntax?
  ) {
    guard body.count >= 6 else { return }
    var s = StreamSyntax(codec: .mjpeg)
    s.height = Int(body[1]) << 8 | Int(body[2])
    s.width = Int(body[3]) << 8 | Int(body[4])
    s.color = .jfif
    syntax = s
    info.type = .i
    info.isKey = true
    info.hasParameterSets = true
  }

  private mutating func readTables(_ body: UnsafeRawBufferPointer, _ info: inout PictureInfo) {
    var position = 0
    while position < body.count {
      let wide = body[position] >> 4 != 0
      let number = body[position] & 15
      let size = wide ? 128 : 64
      guard position + 1 + size <= body.count else { return }
      if number == 0 {
        let table = UnsafeRawBufferPointer(rebasing: body[position + 1..<position + 1 + size])
        info.quality = quality(table, wide: wide)
      }
      position += 1 + size
    }
  }

  /// The factor that gives exactly this table by libjpeg's rule, or `nil` where none does.
  private mutating func quality(_ table: UnsafeRawBufferPointer, wide: Bool) -> Int? {
    func entry(_ index: Int) -> Int {
      wide ? Int(table[index * 2]) << 8 | Int(table[index * 2 + 1]) : Int(table[index])
    }
    var sum = 0
    for index in 0..<64 { sum += entry(index) }
    // The same table as last time, as good as always.
    if sum == lastSum, let lastQuality, JPEGReader.matches(lastQuality, entry) { return lastQuality }
    lastSum = sum
    lastQuality = nil
    for candidate in 1...100 where JPEGReader.matches(candidate, entry) {
      lastQuality = candidate
      break
    }
    return lastQuality
  }

  private static func matches(_ quality: Int, _ entry: (Int) -> Int) -> Bool {
    for index in 0..<64 where entry(index) != JPEGTables.step(index, quality: quality) { return false }
    return true
  }
}

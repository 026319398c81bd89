// SPDX-License-Identifier: Apache-2.0

/// Quantisation tables as libjpeg makes them of a quality factor: the example table of ITU-T T.81, scaled.
enum JPEGTables {
  /// Example luma table of T.81 (K.1) in zigzag order, as DQT stores it; encoders scale it by their quality factor.
  private static let example: [UInt16] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
  ]

  /// A step of the luma table.
  /// - Parameters:
  ///   - index: 0..<64, in zigzag order.
  ///   - quality: 1...100.
  static func step(_ index: Int, quality: Int) -> Int {
    let scale = quality < 50 ? 5000 / quality : 200 - quality * 2
    return min(255, max(1, (Int(example[index]) * scale + 50) / 100))
  }
}

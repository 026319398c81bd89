// SPDX-License-Identifier: Apache-2.0

/// The frame number as a row of black and white cells along the bottom edge of the test picture, so that a program can
/// tell which frame it got after scaling, encoding and decoding.
///
/// 37 cells from the left: white, black, 32 bits (most significant first, white is 1), one cell that makes the number
/// of white bits even, black, white.
public enum PatternCode {
  public static let cellCount = 37

  /// Width of a cell in pixels for a picture `width` wide; 0 when the picture is too small to carry a code.
  public static func cellWidth(forPictureWidth width: Int) -> Int {
    let cell = width / 40 & ~1
    return cell >= 2 ? cell : 0
  }

  /// Height of the row of cells in pixels.
  public static func cellHeight(forPictureWidth width: Int) -> Int {
    max(8, min(32, cellWidth(forPictureWidth: width)))
  }

  /// Whether cell `index` is white for this number.
  static func isWhite(cell index: Int, number: UInt32) -> Bool {
    switch index {
    case 0, 36: true
    case 1, 35: false
    case 34: number.nonzeroBitCount % 2 == 1
    default: number >> UInt32(33 - index) & 1 == 1
    }
  }

  /// Reads the number from the luma of a picture.
  ///
  /// - Parameter originalWidth: the width the picture was made with, when it has been scaled since.
  /// - Returns: `nil` when there is no code to be read: frame cells or parity are wrong, or the picture is too small.
  public static func read(
    luma: UnsafeRawBufferPointer, stride: Int, width: Int, height: Int, originalWidth: Int? = nil
  ) -> UInt32? {
    let original = originalWidth ?? width
    let cell = cellWidth(forPictureWidth: original)
    guard cell > 0, width > 0, height > 0, stride >= width, luma.count >= stride * (height - 1) + width else {
      return nil
    }
    let cellHeight = max(1, self.cellHeight(forPictureWidth: original) * width / original)
    guard cellHeight <= height else { return nil }
    let row = height - (cellHeight + 1) / 2
    var number: UInt32 = 0
    for index in 0..<cellCount {
      // The middle half of the cell, away from its ringing edges.
      let from = (index * 4 + 1) * cell * width / (original * 4)
      let to = max(from + 1, (index * 4 + 3) * cell * width / (original * 4))
      var sum = 0
      for column in from..<min(to, width) { sum += Int(luma[row * stride + column]) }
      let white = sum > 125 * (min(to, width) - from)
      switch index {
      case 0, 36: if !white { return nil }
      case 1, 35: if white { return nil }
      case 34: if white != (number.nonzeroBitCount % 2 == 1) { return nil }
      default: number = number << 1 | (white ? 1 : 0)
      }
    }
    return number
  }
}

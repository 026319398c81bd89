// SPDX-License-Identifier: Apache-2.0
import CPictures
import MediaCore

/// Scales planes with this project's kernels. Keeps the tables of the last two kinds of planes (luma and chroma), so that a steady
/// state allocates nothing. Owns them; serial use.
struct PlaneScaling: ~Copyable {
  /// What tables are made for.
  private struct Work: Equatable {
    var width: Int
    var height: Int
    var newWidth: Int
    var newHeight: Int
    var channels: Int
  }

  private var first: (work: Work, tables: OpaquePointer)?
  private var second: (work: Work, tables: OpaquePointer)?

  init() {}

  deinit {
    pictures_scaling_free(first?.tables)
    pictures_scaling_free(second?.tables)
  }

  /// Fills a plane of `newWidth` samples in `newHeight` lines.
  /// - Parameter channels: 2 where samples of two alternate; sizes are those of one channel.
  /// - Returns: false where the kernels do not do it: shrinking by more than 16, no memory for tables.
  mutating func scale(
    _ from: PlanePointer, _ width: Int, _ height: Int, to: PlanePointer, _ newWidth: Int, _ newHeight: Int,
    channels: Int = 1
  ) -> Bool {
    let work = Work(width: width, height: height, newWidth: newWidth, newHeight: newHeight, channels: channels)
    guard let tables = tables(for: work) else { return false }
    pictures_scale(tables, from.base, Int(from.stride), to.base, Int(to.stride))
    return true
  }

  private mutating func tables(for work: Work) -> OpaquePointer? {
    if let first, first.work == work { return first.tables }
    swap(&first, &second)
    if let first, first.work == work { return first.tables }
    let made = pictures_scaling_make(
      CInt(clamping: work.width), CInt(clamping: work.height), CInt(clamping: work.newWidth),
      CInt(clamping: work.newHeight), CInt(work.channels), CInt(PICTURES_BEST))
    guard let made else { return nil }
    pictures_scaling_free(first?.tables)
    first = (work, made)
    return made
  }

  /// `mpifs 3:2 AVX2`: what scales a plane of this size; `nil` where nothing is to be scaled, or by libyuv.
  static func name(from: (width: Int, height: Int), to: (width: Int, height: Int)) -> String? {
    guard from != to,
      let tables = pictures_scaling_make(
        CInt(clamping: from.width), CInt(clamping: from.height), CInt(clamping: to.width), CInt(clamping: to.height), 1,
        CInt(PICTURES_BEST))
    else { return nil }
    defer { pictures_scaling_free(tables) }
    return "mpifs \(String(cString: pictures_scaling_name(tables))) \(String(cString: pictures_instructions()))"
  }

  /// Samples of 10 bit in 16 to 8 bit, rounded.
  static func shorten(_ from: PlanePointer, to: PlanePointer, count: Int, lines: Int) {
    pictures_shorten(
      from.base, Int(from.stride), to.base, Int(to.stride), CInt(count), CInt(lines), CInt(PICTURES_BEST))
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Units a decoder was given whose pictures have not come: the time stamp of an OUTPUT buffer comes out with its picture.
///
/// Units that give no picture of their own (hidden frames of VP8, parameter sets alone) are kept apart: nothing is due for
/// them, and nothing is lost when nothing comes. They are kept for drivers that put their time stamp on a picture.
struct UnitsInside {
  private struct Entry {
    var cookie: Int64
    var pts: Int64
    var isDue: Bool
  }

  private var entries: [Entry] = []
  private var next: Int64 = 1
  /// Pictures still to come.
  private(set) var due = 0

  /// More than these are never inside.
  static let most = 32

  /// - Returns: the cookie of the unit, and whether a picture was given up for it: so many later units came in since that
  ///   it never will come.
  mutating func enter(pts: Int64, givesPicture: Bool) -> (cookie: Int64, lost: Bool) {
    let same = givesPicture ? due : entries.count - due
    let isFull = same > Self.most
    if isFull, let oldest = entries.firstIndex(where: { $0.isDue == givesPicture }) { remove(oldest) }
    entries.append(Entry(cookie: next, pts: pts, isDue: givesPicture))
    if givesPicture { due += 1 }
    next += 1
    return (next - 1, isFull && givesPicture)
  }

  /// - Returns: the time of the unit, `nil` when it is not inside.
  mutating func take(_ cookie: Int64) -> Int64? {
    entries.firstIndex { $0.cookie == cookie }.map { remove($0) }
  }

  /// The oldest that gives a picture.
  mutating func takeFirst() -> Int64? {
    entries.firstIndex { $0.isDue }.map { remove($0) }
  }

  mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    due = 0
  }

  @discardableResult
  private mutating func remove(_ index: Int) -> Int64 {
    let entry = entries.remove(at: index)
    if entry.isDue { due -= 1 }
    return entry.pts
  }
}

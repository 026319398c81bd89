// SPDX-License-Identifier: Apache-2.0

/// Which pictures become key pictures of an engine that places them by itself: as many apart as they were the last time. What they cost has to
/// be known before they are coded, and no engine says so.
struct PlacedKeys: Sendable {
  /// Pictures from one key picture to the next: what is asked, until it was seen that the engine has shorter groups.
  private(set) var distance = 1
  private var asked = 1
  private var given = 0
  private var came = 0
  private var lastKey: Int?
  /// The picture that somebody asked to become one, out of turn.
  private var wanted: Int?

  mutating func expect(groupsOf pictures: Int) {
    guard pictures != asked else { return }
    (asked, distance) = (pictures, pictures)
  }

  /// A picture is given to the engine.
  /// - Returns: whether it will be a key picture.
  mutating func isNext(wanted isWanted: Bool) -> Bool {
    defer { given += 1 }
    if isWanted { wanted = given }
    return isWanted || given == lastKey.map { $0 + distance } ?? 0
  }

  /// It is not given after all.
  mutating func notGiven() { given -= 1 }

  mutating func came(isKey: Bool) {
    defer { came += 1 }
    guard isKey else { return }
    if let lastKey, came != wanted { distance = came - lastKey }
    lastKey = came
  }

  mutating func lost() { came += 1 }
}

// SPDX-License-Identifier: Apache-2.0

/// Which name was meant by one that does not exist.
public enum Similarity {
  /// The names, the most similar to `wanted` first; those that are equally far in the order they came.
  public static func nearest(to wanted: String, of names: [String]) -> [String] {
    let target = Array(wanted.utf8.prefix(longest))
    return names.enumerated()
      .map { (distance: distance(target, Array($0.element.utf8.prefix(longest))), place: $0.offset, name: $0.element) }
      .sorted { ($0.distance, $0.place) < ($1.distance, $1.place) }
      .map(\.name)
  }

  /// The work grows with the square.
  private static let longest = 64

  /// Bytes to insert and delete to get from one to the other, less those both begin with: people get the end wrong.
  private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var above = Array(0...other.count)
    for (row, byte) in one.enumerated() {
      var here = [row + 1]
      for (column, candidate) in other.enumerated() {
        here.append(byte == candidate ? above[column] : min(above[column + 1], here[column]) + 1)
      }
      above = here
    }
    return above[other.count] - zip(one, other).prefix { $0 == $1 }.count
  }
}

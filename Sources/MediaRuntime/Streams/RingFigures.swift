// SPDX-License-Identifier: Apache-2.0

/// Figures of a ring for reports. All positions and sizes in bytes.
struct RingFigures: Sendable, Equatable {
  var writePosition = 0
  var readPosition = 0
  var used = 0
  var highWater = 0
  var capacity = 0
  var minimumFree = 0
  var lastWritePosition = 0
  var lastReadPosition = 0
  var packets = 0
  var waiting = 0
  var taken = 0
  var readers = 0
  var written: UInt64 = 0
  var lostPackets: UInt64 = 0
  var lostGroups: UInt64 = 0
  var refused: UInt64 = 0
  var exhausted: UInt64 = 0
}

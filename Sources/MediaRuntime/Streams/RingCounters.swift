// SPDX-License-Identifier: Apache-2.0

/// The figures of a ring as reports read them, without its lock.
///
/// "In use" is what somebody still needs: from the newest key frame (where the next reader starts) or the slowest
/// reader's place, whichever is older, to the end.
struct RingCounters: ~Copyable, Sendable {
  private let block = CounterBlock(20)

  init(capacity: Int) { block.storeAlone(4, UInt64(capacity)) }

  deinit { block.free() }

  func store(
    write: UInt64, read: UInt64, capacity: Int, packets: UInt64, waiting: UInt64, taken: Int, readers: Int,
    written: UInt64
  ) {
    block.begin()
    if block[0] != write {
      block[6] = block[0]
      block[7] = block[1]
    }
    block[0] = write
    block[1] = read
    let used = write - read
    block[2] = used
    if block[3] < used { block[3] = used }
    block[4] = UInt64(capacity)
    block[8] = packets
    block[9] = waiting
    block[10] = UInt64(taken)
    block[11] = UInt64(readers)
    block[12] = written
    block.end()
  }

  func lost(packets: UInt64, groups: UInt64) {
    block.begin()
    block[13] = block[13] &+ packets
    block[14] = block[14] &+ groups
    block.end()
  }

  var readers: Int { block.read { Int($0[11]) } }

  func refused() { count(15) }
  func exhausted() { count(16) }

  private func count(_ index: Int) {
    block.begin()
    block[index] = block[index] &+ 1
    block.end()
  }

  func figures() -> RingFigures {
    block.read { block in
      let capacity = max(1, block[4])
      var figures = RingFigures()
      figures.writePosition = Int(block[0] % capacity)
      figures.readPosition = Int(block[1] % capacity)
      figures.used = Int(block[2])
      figures.highWater = Int(block[3])
      figures.capacity = Int(block[4])
      // A quarter of the ring, in whole KiB, as the vendor's rings have it.
      figures.minimumFree = (Int(capacity) / 4 + 1023) / 1024 * 1024
      figures.lastWritePosition = Int(block[6] % capacity)
      figures.lastReadPosition = Int(block[7] % capacity)
      figures.packets = Int(block[8])
      figures.waiting = Int(block[9])
      figures.taken = Int(block[10])
      figures.readers = Int(block[11])
      figures.written = block[12]
      figures.lostPackets = block[13]
      figures.lostGroups = block[14]
      figures.refused = block[15]
      figures.exhausted = block[16]
      return figures
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// What a ring takes of the packets that all channels share.
extension PacketRing {
  /// Packets in use by its readers.
  var inUse: Int { pooled.load(ordering: .relaxed) }

  /// Pictures that came since the slowest reader is there and that it has not got, and one that some reader has in part.
  func packetsInUse(_ state: borrowing State) -> Int {
    var (waiting, held) = (UInt64(0), 0)
    for index in state.readers.indices {
      let reader = state.readers[index]
      if reader.holdsPacket { held = 1 }
      guard let cursor = reader.cursor else { continue }
      waiting = max(waiting, state.next - min(state.next, max(cursor, state.first, reader.joined)))
    }
    return Int(waiting) + held
  }

  /// The reader that is furthest behind loses what it has not read, for a packet is needed elsewhere: it goes on at the newest key picture, or at
  /// the next one where it has begun that group.
  /// - Returns: whether packets became free.
  func giveWay() -> Bool {
    state.withLock { state in
      let before = inUse
      guard let reader = slowest(state), let cursor = reader.cursor else { return false }
      let position = max(cursor, state.first)
      var key: PacketDescriptor?
      // Of a run that has ended there is nothing more to go on with.
      if reader.epoch == state.epoch, let newest = state.newestKey, newest > position { key = state.packet(newest) }
      let groups = key.map { reader.lose(upTo: $0) } ?? reader.loseAll(before: state.next)
      // What is there already is the ring's own again, as for one that comes now.
      reader.joined = state.next
      counters.lost(packets: (key?.number ?? state.next) - cursor, groups: groups)
      counters.exhausted()
      publish(&state)
      return inUse < before
    }
  }

  private func slowest(_ state: borrowing State) -> StreamReader? {
    var (slowest, place): (StreamReader?, UInt64) = (nil, state.next)
    for index in state.readers.indices {
      let reader = state.readers[index]
      guard let cursor = reader.cursor, max(cursor, reader.joined) < place else { continue }
      (slowest, place) = (reader, max(cursor, reader.joined))
    }
    return slowest
  }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import Synchronization
import SystemPackage

/// One coded picture in the ring.
struct PacketDescriptor: Sendable {
  var number: UInt64 = 0
  var pts: Int64 = 0
  /// Place of the first byte, counted since the ring was made.
  var start: UInt64 = 0
  var size = 0
  /// Counts joining points: pictures of one group have the same number.
  var group: UInt64 = 0
  var codec: Codec?
  var picture = CodedPicture()
}

/// The coded pictures of one channel: a ring of bytes with a ring of descriptors, one writer and any number of readers.
///
/// Keeps at least two seconds or one group of pictures, whichever is more, as far as `limit` bytes allow: it grows by
/// doubling while it is too small for that and never shrinks. What is written over is the oldest. The lock is held for
/// copying at most one picture; reports read figures stored beside it and never take it.
final class PacketRing: Sendable {
  static let descriptors = 4096
  /// What it holds at least as far as the limit allows, microseconds of stream.
  static let window: Int64 = 2_000_000

  let state: Mutex<State>
  let counters: RingCounters
  let pool: PacketPool
  /// Packets of the pool that its readers' pictures take.
  let pooled = Atomic<Int>(0)

  // Sendable by hand: the pointers are this state's own, and the mutex guards them.
  struct State: ~Copyable, @unchecked Sendable {
    var bytes: UnsafeMutableRawPointer
    var capacity: Int
    let limit: Int
    var packets: UnsafeMutablePointer<PacketDescriptor>
    /// Numbers of the oldest packet kept and of the next to come.
    var first: UInt64 = 0
    var next: UInt64 = 0
    /// Bytes since the ring was made: oldest kept, end of the last whole picture, end of what is being written.
    var oldest: UInt64 = 0
    var committed: UInt64 = 0
    var writing: UInt64 = 0
    /// The picture being written was refused for want of room.
    var overflow = false
    var newestKey: UInt64?
    var groups: UInt64 = 0
    var parameterSets: [UInt8] = []
    var readers: [StreamReader] = []
    /// Counts starts of the channel; a reader belongs to one.
    var epoch: UInt64 = 0
    /// The first packet of this start.
    var epochStart: UInt64 = 0
    /// What the pictures of this start are coded as.
    var codec: Codec?
    var isOpen = false
    var isRetired = false

    init(capacity: Int, limit: Int) {
      self.capacity = capacity
      self.limit = max(capacity, limit)
      bytes = .allocate(byteCount: capacity, alignment: 64)
      packets = .allocate(capacity: PacketRing.descriptors)
      packets.initialize(repeating: PacketDescriptor(), count: PacketRing.descriptors)
    }

    deinit {
      bytes.deallocate()
      packets.deallocate()
    }

    @inline(__always) func packet(_ number: UInt64) -> PacketDescriptor {
      packets[Int(number % UInt64(PacketRing.descriptors))]
    }
  }

  /// - Parameter pool: that of all channels; one of its own without limit where it is not given.
  init(capacity: Int, limit: Int, pool: PacketPool? = nil) {
    let capacity = max(64 << 10, min(capacity, limit))
    state = Mutex(State(capacity: capacity, limit: limit))
    counters = RingCounters(capacity: capacity)
    self.pool = pool ?? PacketPool(limit: .max)
    self.pool.add(self)
  }

  deinit { pool.change(by: -pooled.load(ordering: .relaxed)) }

  var figures: RingFigures { counters.figures() }

  // MARK: writing

  /// Puts bytes behind those of the picture being written.
  func append(_ data: UnsafeRawBufferPointer) {
    guard let source = data.baseAddress, data.count > 0 else { return }
    state.withLock { state in
      guard !state.overflow, makeRoom(for: data.count, &state) else {
        state.overflow = true
        return
      }
      let at = Int(state.writing % UInt64(state.capacity))
      let head = min(data.count, state.capacity - at)
      (state.bytes + at).copyMemory(from: source, byteCount: head)
      if head < data.count { state.bytes.copyMemory(from: source + head, byteCount: data.count - head) }
      state.writing += UInt64(data.count)
    }
  }

  /// Makes the picture readable.
  /// - Returns: its size in bytes, or `nil` when the ring had no room for it.
  func finish(pts: Int64, picture: CodedPicture, parameterSets: UnsafeRawBufferPointer?) -> Int? {
    var reserved = counters.readers > 0 ? 1 : 0
    guard reserved == 0 || pool.reserve() else {
      counters.exhausted()
      abandon()
      return nil
    }
    let result: (size: Int?, wake: Bool) = state.withLock { state in
      if state.overflow {
        state.overflow = false
        state.writing = state.committed
        counters.refused()
        return (nil, false)
      }
      let size = Int(state.writing - state.committed)
      guard size > 0 else { return (nil, false) }
      if let parameterSets, !parameterSets.elementsEqual(state.parameterSets) {
        state.parameterSets = Array(parameterSets)
      }
      if state.next - state.first == UInt64(Self.descriptors) {
        if pts - state.packet(state.first).pts < Self.window { counters.exhausted() }
        evictOldest(&state)
      }
      if picture.isJoiningPoint { state.groups += 1 }
      state.packets[Int(state.next % UInt64(Self.descriptors))] = PacketDescriptor(
        number: state.next, pts: pts, start: state.committed, size: size, group: state.groups, codec: state.codec,
        picture: picture)
      if picture.isJoiningPoint {
        state.newestKey = state.next
        for index in state.readers.indices {
          let reader = state.readers[index]
          guard reader.cursor == nil && reader.epoch == state.epoch else { continue }
          let skipped = reader.start(at: state.next, group: state.groups)
          if skipped > 0 { counters.lost(packets: skipped, groups: 0) }
        }
      }
      state.next += 1
      state.committed = state.writing
      publish(&state, reserved: reserved)
      reserved = 0
      return (size, !state.readers.isEmpty)
    }
    pool.change(by: -reserved)
    if result.wake { wakeReaders() }
    return result.size
  }

  /// Takes back what was appended since the last `finish`.
  func abandon() {
    state.withLock { state in
      state.writing = state.committed
      state.overflow = false
    }
  }

  /// Frees room for more bytes of the picture being written.
  private func makeRoom(for count: Int, _ state: inout State) -> Bool {
    while state.writing + UInt64(count) - state.oldest > UInt64(state.capacity) {
      let held = state.next - state.first
      if held == 0 || !mayEvict(state) {
        if grow(for: count, &state) { continue }
        if held == 0 { return false }
      }
      evictOldest(&state)
    }
    return true
  }

  /// Whether the oldest packet may go without breaking what the ring promises to hold.
  private func mayEvict(_ state: borrowing State) -> Bool {
    guard state.next > state.first, let newest = state.newestKey else { return false }
    let last = state.packet(state.next - 1)
    return newest > state.first && last.pts - state.packet(state.first).pts > Self.window
  }

  private func grow(for count: Int, _ state: inout State) -> Bool {
    let needed = Int(state.writing - state.oldest) + count
    var capacity = state.capacity
    while capacity < needed && capacity < state.limit { capacity *= 2 }
    capacity = min(capacity, state.limit)
    guard capacity > state.capacity, capacity >= needed else { return false }
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64)
    var from = state.oldest
    while from < state.writing {
      let source = Int(from % UInt64(state.capacity))
      let target = Int(from % UInt64(capacity))
      let run = min(Int(state.writing - from), state.capacity - source, capacity - target)
      (bytes + target).copyMemory(from: state.bytes + source, byteCount: run)
      from += UInt64(run)
    }
    state.bytes.deallocate()
    state.bytes = bytes
    state.capacity = capacity
    publish(&state)
    return true
  }

  private func evictOldest(_ state: inout State) {
    let gone = state.packet(state.first)
    state.first += 1
    state.oldest = state.first == state.next ? state.committed : state.packet(state.first).start
    if state.newestKey == gone.number { state.newestKey = nil }
  }

  /// Stores the figures reports show.
  /// - Parameter reserved: packets that were taken for the picture that came.
  func publish(_ state: inout State, reserved: Int = 0) {
    // Needed is what a new reader would start with, and what the slowest reader has still to get.
    var needed = state.newestKey.map { state.packet($0).start } ?? state.committed
    var waiting: UInt64 = 0
    var taken = 0
    for index in state.readers.indices {
      let reader = state.readers[index]
      guard let cursor = reader.cursor else { continue }
      let position = max(cursor, state.first)
      waiting = max(waiting, state.next - position)
      if position < state.next { needed = min(needed, state.packet(position).start) }
      if reader.holdsPacket { taken += 1 }
    }
    let use = packetsInUse(state)
    pool.change(by: use - pooled.exchange(use, ordering: .relaxed) - reserved)
    counters.store(
      write: state.committed, read: needed, capacity: state.capacity, packets: state.next - state.first,
      waiting: waiting, taken: taken, readers: state.readers.count, written: state.next)
  }

  // MARK: life

  /// The channel was started: what comes now is a new stream.
  func open(_ codec: Codec? = nil) {
    state.withLock { state in
      state.codec = codec
      state.epoch += 1
      state.epochStart = state.next
      state.isOpen = true
      // Pictures of the run before must not be mixed with those of this one.
      for reader in state.readers where reader.cursor == nil { reader.epoch = state.epoch }
      state.newestKey = nil
      state.parameterSets = []
      // Nor are those kept that nobody has still to get: no reader begins with them, and a channel that is switched on and off
      // would make the ring grow for them.
      let end = state.next
      guard state.readers.allSatisfy({ ($0.cursor ?? end) >= end }) else { return }
      state.first = end
      state.oldest = state.committed
      publish(&state)
    }
  }

  /// The channel was stopped: readers get the rest and then the end.
  func close() {
    state.withLock { $0.isOpen = false }
    wakeReaders()
  }

  /// The channel is gone for good.
  func retire() {
    state.withLock { state in
      state.isOpen = false
      state.isRetired = true
    }
    wakeReaders()
  }

  // MARK: reading

  func attach() throws(Failure) -> StreamReader {
    let reader = StreamReader(ring: self)
    let retired = state.withLock { state in
      guard !state.isRetired else { return true }
      reader.epoch = state.isOpen ? state.epoch : state.epoch + 1
      reader.joined = state.next
      if state.isOpen, let newest = state.newestKey { reader.start(at: newest, group: state.packet(newest).group) }
      state.readers.append(reader)
      publish(&state)
      return false
    }
    if retired { throw Failure(Errno(rawValue: ENODEV), "open", on: "stream", "the channel has been removed") }
    return reader
  }

  func detach(_ reader: StreamReader) {
    state.withLock { state in
      state.readers.removeAll { $0 === reader }
      publish(&state)
    }
  }

  /// Fills `target` with whole pictures and, last, the beginning of one whose rest the reader keeps.
  func read(_ reader: StreamReader, into target: UnsafeMutableRawBufferPointer) -> StreamReader.Outcome {
    state.withLock { state in
      var filled = reader.takeRest(into: target)
      while filled < target.count {
        guard let number = nextPacket(for: reader, &state) else { break }
        let packet = state.packet(number)
        let prefix = prefix(of: packet, for: reader, state)
        let size = prefix + packet.size
        if filled + size <= target.count {
          let place = UnsafeMutableRawBufferPointer(rebasing: target[filled..<filled + size])
          copy(packet, prefix: prefix, for: reader, to: place, state)
          filled += size
        } else {
          reader.keep(size) { copy(packet, prefix: prefix, for: reader, to: $0, state) }
          filled += reader.takeRest(into: UnsafeMutableRawBufferPointer(rebasing: target[filled...]))
        }
        reader.delivered(packet)
      }
      publish(&state)
      if filled > 0 { return .bytes(filled) }
      if state.isRetired { return .gone }
      return hasEnded(reader, state) ? .end : .wouldBlock
    }
  }

  /// Gives a reader its next picture whole.
  func take(_ reader: StreamReader, into bytes: inout [UInt8]) -> StreamReader.Next {
    state.withLock { state in
      guard let number = nextPacket(for: reader, &state) else {
        publish(&state)
        if state.isRetired { return .gone }
        return hasEnded(reader, state) ? .end : .wouldBlock
      }
      let packet = state.packet(number)
      bytes.removeAll(keepingCapacity: true)
      if packet.picture.isJoiningPoint, !packet.picture.hasParameterSets {
        bytes.append(contentsOf: state.parameterSets)
      }
      let at = Int(packet.start % UInt64(state.capacity))
      let head = min(packet.size, state.capacity - at)
      bytes.append(contentsOf: UnsafeRawBufferPointer(start: state.bytes + at, count: head))
      bytes.append(contentsOf: UnsafeRawBufferPointer(start: state.bytes, count: packet.size - head))
      let interval = interval(of: packet, state)
      reader.delivered(packet)
      publish(&state)
      return .picture(
        StreamReader.Picture(
          pts: packet.pts, interval: interval, isKey: packet.picture.isJoiningPoint, codec: packet.codec))
    }
  }

  /// Microseconds to the picture before or, for the first there is, after this one of the same run; 0 where there is none.
  private func interval(of packet: PacketDescriptor, _ state: borrowing State) -> Int64 {
    let first = packet.number >= state.epochStart ? max(state.first, state.epochStart) : state.first
    if packet.number > first { return packet.pts - state.packet(packet.number - 1).pts }
    return packet.number + 1 < state.next ? state.packet(packet.number + 1).pts - packet.pts : 0
  }

  /// Nothing more will come for the reader.
  private func hasEnded(_ reader: StreamReader, _ state: borrowing State) -> Bool {
    reader.epoch < state.epoch || (reader.epoch == state.epoch && !state.isOpen)
  }

  /// Bytes that go before the picture: parameter sets at a reader's start and after a loss, or what tells pictures apart.
  private func prefix(of packet: PacketDescriptor, for reader: StreamReader, _ state: borrowing State) -> Int {
    guard packet.picture.framing != nil else {
      return reader.needsStart && !packet.picture.hasParameterSets ? state.parameterSets.count : 0
    }
    return IVF.frameSize + (reader.origin == nil ? IVF.headerSize : 0)
  }

  private func copy(
    _ packet: PacketDescriptor, prefix: Int, for reader: StreamReader, to target: UnsafeMutableRawBufferPointer,
    _ state: borrowing State
  ) {
    guard let base = target.baseAddress else { return }
    if let framing = packet.picture.framing {
      if reader.origin == nil { framing.writeHeader(base) }
      let time = packet.pts - (reader.origin ?? packet.pts)
      IVF.writeFrame(base + prefix - IVF.frameSize, size: packet.size, time: time)
    } else if prefix > 0 {
      state.parameterSets.withUnsafeBytes { target.copyMemory(from: UnsafeRawBufferPointer($0)) }
    }
    let at = Int(packet.start % UInt64(state.capacity))
    let head = min(packet.size, state.capacity - at)
    (base + prefix).copyMemory(from: state.bytes + at, byteCount: head)
    if head < packet.size { (base + prefix + head).copyMemory(from: state.bytes, byteCount: packet.size - head) }
  }

  /// The packet the reader gets next, moving it over groups it has lost.
  private func nextPacket(for reader: StreamReader, _ state: inout State) -> UInt64? {
    // Without a place yet: it gets one with the next key frame.
    guard let cursor = reader.cursor, let end = end(for: reader, state) else { return nil }
    if cursor >= state.first { return cursor < end ? cursor : nil }
    // Written over before it was read: go on at the next key frame, so that only whole groups are missing.
    guard let key = keyFrame(from: state.first, to: end, state) else { return nil }
    let groups = reader.lose(upTo: state.packet(key))
    counters.lost(packets: key - cursor, groups: groups)
    return key
  }

  /// Where a reader's stream ends for now: it may still read what is left of the run before.
  private func end(for reader: StreamReader, _ state: borrowing State) -> UInt64? {
    if reader.epoch == state.epoch { return state.next }
    return reader.epoch + 1 == state.epoch ? state.epochStart : nil
  }

  private func keyFrame(from first: UInt64, to end: UInt64, _ state: borrowing State) -> UInt64? {
    var number = first
    while number < end {
      if state.packet(number).picture.isJoiningPoint { return number }
      number += 1
    }
    return nil
  }

  /// Whether `read` would give anything but `wouldBlock`.
  func isReadable(_ reader: StreamReader) -> Bool {
    state.withLock { state in
      if reader.hasRest || state.isRetired { return true }
      if hasEnded(reader, state) { return true }
      guard reader.epoch == state.epoch, let cursor = reader.cursor else { return false }
      return cursor >= state.first
        ? cursor < state.next : keyFrame(from: state.first, to: state.next, state) != nil
    }
  }

  private func wakeReaders() {
    // One after the other, so that no callback runs under the lock and nothing is collected for it.
    while let reader = state.withLock({ state in waiting(in: state) }) { reader.wake() }
  }

  private func waiting(in state: borrowing State) -> StreamReader? {
    for index in state.readers.indices where state.readers[index].isWaiting { return state.readers[index] }
    return nil
  }
}

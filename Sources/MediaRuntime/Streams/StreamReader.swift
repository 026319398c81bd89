// SPDX-License-Identifier: Apache-2.0
public import MediaCore
import Synchronization

/// What serves one reader of a channel's stream, in whatever form it is read. `read` by one thread at a time.
public protocol CodedStream: AnyObject, Sendable {
  /// Reads what is there, without waiting.
  func read(into target: UnsafeMutableRawBufferPointer) -> StreamReader.Outcome
  /// Calls `body` once: now if there is something to read (or the end), else when there is. It replaces one that waits. It
  /// is called on the producer's thread and must return soon.
  func whenReadable(_ body: @escaping @Sendable () -> Void)
  /// Ends reading. Call once; nothing is given afterwards.
  func close()
}

/// One reader of a channel's coded stream, with a place of its own.
///
/// Starts at the newest key frame still in the ring, parameter sets first, else at the next one. A reader that is too
/// slow loses whole groups of pictures, counted, and slows nobody. `read` by one thread at a time.
public final class StreamReader: CodedStream {
  public enum Outcome: Sendable, Equatable {
    /// So many bytes were put into the buffer.
    case bytes(Int)
    /// Nothing now; ``StreamReader/whenReadable(_:)`` tells when.
    case wouldBlock
    /// The channel was stopped and all of it has been read.
    case end
    /// The channel has been removed.
    case gone
    /// What the form of the stream needs has failed, for good.
    case failed(Failure)
  }

  /// One whole picture, as ``next(into:)`` gives it.
  struct Picture: Equatable {
    /// Presentation time, microseconds.
    var pts: Int64
    /// Microseconds to the picture before it or, where there is none in the ring, to the next one; 0 where unknown.
    var interval: Int64
    /// Reading can begin here.
    var isKey: Bool
    var codec: Codec?
  }

  enum Next: Equatable {
    case picture(Picture)
    /// As ``Outcome``.
    case wouldBlock, end, gone
  }

  private let ring: PacketRing
  private let waiter = Mutex<(@Sendable () -> Void)?>(nil)
  private let waiting = Atomic<Bool>(false)
  private let lost = Atomic<UInt64>(0)
  private let lostWhole = Atomic<UInt64>(0)

  // Guarded by the ring's lock.
  nonisolated(unsafe) var epoch: UInt64 = 0
  /// The first packet that came since it is there: those before are the ring's own, kept for whoever comes.
  nonisolated(unsafe) var joined: UInt64 = 0
  private(set) nonisolated(unsafe) var cursor: UInt64?
  /// The next picture is the first, or the first after a loss: parameter sets go before it.
  private(set) nonisolated(unsafe) var needsStart = true
  /// Time of the first picture it was given.
  private(set) nonisolated(unsafe) var origin: Int64?
  private nonisolated(unsafe) var group: UInt64 = 0
  /// The first packet it loses until the next key picture.
  private nonisolated(unsafe) var lostFrom: UInt64?
  private nonisolated(unsafe) var rest: [UInt8] = []
  private nonisolated(unsafe) var restTaken = 0

  init(ring: PacketRing) { self.ring = ring }

  /// Pictures and groups of pictures this reader lost because it was too slow.
  public var lostPictures: UInt64 { lost.load(ordering: .relaxed) }
  public var lostGroups: UInt64 { lostWhole.load(ordering: .relaxed) }

  /// Reads what is there, without waiting.
  public func read(into target: UnsafeMutableRawBufferPointer) -> Outcome {
    guard target.count > 0 else { return .bytes(0) }
    return ring.read(self, into: target)
  }

  /// Takes the next picture whole, without waiting; a key picture has its parameter sets before it. Whoever takes pictures
  /// does not `read` as well.
  func next(into bytes: inout [UInt8]) -> Next { ring.take(self, into: &bytes) }

  /// Reads at most `max` bytes, without waiting.
  public func read(max: Int) -> (outcome: Outcome, bytes: [UInt8]) {
    var outcome = Outcome.wouldBlock
    let bytes = [UInt8](unsafeUninitializedCapacity: Swift.max(1, max)) { buffer, count in
      outcome = read(into: UnsafeMutableRawBufferPointer(buffer))
      if case .bytes(let filled) = outcome { count = filled }
    }
    return (outcome, bytes)
  }

  /// Calls `body` once: now if there is something to read (or the end), else when there is. It replaces one that
  /// waits. It is called on the producer's thread and must return soon.
  public func whenReadable(_ body: @escaping @Sendable () -> Void) {
    waiter.withLock { $0 = body }
    waiting.store(true, ordering: .sequentiallyConsistent)
    if ring.isReadable(self) { wake() }
  }

  /// Forgets a waiting callback. It may be running just now.
  public func cancelWait() {
    waiting.store(false, ordering: .sequentiallyConsistent)
    waiter.withLock { $0 = nil }
  }

  /// Ends reading. Call once; the reader gives nothing afterwards.
  public func close() {
    cancelWait()
    ring.detach(self)
  }

  // MARK: for the ring

  var isWaiting: Bool { waiting.load(ordering: .sequentiallyConsistent) }

  func wake() {
    waiting.store(false, ordering: .sequentiallyConsistent)
    let body = waiter.withLock { body in
      let taken = body
      body = nil
      return taken
    }
    body?()
  }

  var hasRest: Bool { restTaken < rest.count }
  var holdsPacket: Bool { hasRest }

  /// - Returns: packets it lost since it gave way.
  @discardableResult
  func start(at number: UInt64, group: UInt64) -> UInt64 {
    let skipped = lostFrom.map { number - $0 } ?? 0
    lost.add(skipped, ordering: .relaxed)
    lostFrom = nil
    cursor = number
    self.group = group
    needsStart = true
    return skipped
  }

  func delivered(_ packet: PacketDescriptor) {
    cursor = packet.number + 1
    group = packet.group
    needsStart = false
    if origin == nil { origin = packet.pts }
  }

  /// - Returns: groups lost in whole or in part.
  func lose(upTo key: PacketDescriptor) -> UInt64 {
    let groups = max(1, key.group - min(key.group, group))
    lost.add(key.number - (cursor ?? key.number), ordering: .relaxed)
    lostWhole.add(groups, ordering: .relaxed)
    cursor = key.number
    needsStart = true
    return groups
  }

  /// Loses all that is there and waits for the next key picture.
  /// - Returns: groups lost in part.
  func loseAll(before next: UInt64) -> UInt64 {
    lost.add(next - (cursor ?? next), ordering: .relaxed)
    lostWhole.add(1, ordering: .relaxed)
    (cursor, lostFrom) = (nil, next)
    return 1
  }

  /// Keeps a picture the caller's buffer has no room for.
  func keep(_ size: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
    rest.removeAll(keepingCapacity: true)
    rest.append(contentsOf: repeatElement(0, count: size))
    rest.withUnsafeMutableBytes(fill)
    restTaken = 0
  }

  func takeRest(into target: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(rest.count - restTaken, target.count)
    guard count > 0 else { return 0 }
    rest.withUnsafeBytes { bytes in
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[restTaken..<restTaken + count]))
    }
    restTaken += count
    return count
  }
}

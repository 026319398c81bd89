// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization

/// Works on frames at once, on the thread that brings them.
protocol FrameHandler: AnyObject, Sendable {
  /// - Returns: the time afterwards.
  func handle(_ frame: consuming Frame, at now: Int64) -> Int64
  /// Whether a frame would find room further down.
  var hasRoom: Bool { get }
}

/// The side of a node frames arrive at: counts every frame, applies frame-rate control, and hands it to a queue or
/// straight to a handler.
///
/// The counter block's write lock also guards `table`, `accepting` and `epoch`, so that each of them changes between
/// two frames.
final class InPort: Sendable {
  let counters = PortCounters(isOutput: false)
  /// Who the frames in here are charged to.
  let user: UserSlot
  let queue: FrameQueue
  private let isQueued: Bool
  private let drops: DropMark

  private nonisolated(unsafe) var table: [UInt8] = []
  private nonisolated(unsafe) var accepting = false
  private nonisolated(unsafe) var epoch: UInt64 = 0
  /// The next frame that is taken is the first of another source.
  private nonisolated(unsafe) var startsAnew = false
  // Set once by `connect`, before the port is reachable.
  private nonisolated(unsafe) var session: Session?
  private nonisolated(unsafe) unowned(unsafe) var handler: (any FrameHandler)?

  /// The table again, for reports.
  private let shownTable = Mutex<[UInt8]>([])
  private let isAccepting = Atomic<Bool>(false)
  private let source = Published<OutPort?>(nil)
  private let watcher = Mutex<(@Sendable () -> Void)?>(nil)

  /// - Parameter depth: frames the queue holds; 0 for a port that hands frames straight on.
  init(user: UserSlot, depth: Int, drops: DropMark = .none) {
    self.user = user
    self.drops = drops
    self.queue = FrameQueue(depth: max(1, depth))
    self.isQueued = depth > 0
  }

  /// Who takes the frames: the session of a port with a queue.
  func connect(_ session: Session) { self.session = session }
  /// Who takes the frames of a port without a queue. The handler owns the port and so outlives it.
  func connect(_ handler: any FrameHandler) { self.handler = handler }
  /// Called, on whatever thread made the change, when the source or what it gives has changed.
  func watchUpstream(_ body: (@Sendable () -> Void)?) { watcher.withLock { $0 = body } }
  func upstreamChanged() { watcher.withLock { $0 }?() }

  var upstream: OutPort? { source.value }
  /// Frames the queue holds at most; 0 without a queue.
  var depth: Int { isQueued ? queue.depth : 0 }
  var waiting: Int { isQueued ? queue.count : 0 }
  var control: [UInt8] { shownTable.withLock { $0 } }
  var accepts: Bool { isAccepting.load(ordering: .relaxed) }

  /// Whether a frame would be taken without being dropped for want of room.
  var hasRoom: Bool {
    guard accepts else { return true }
    return isQueued ? !queue.isFull : handler?.hasRoom ?? true
  }

  /// Takes a frame.
  /// - Parameter binding: of this port; who hands the frame on holds it until this returns, and with it the handler, which may
  ///   be retired as soon as the block is left.
  /// - Returns: the time afterwards.
  @inline(__always)
  func receive(_ frame: consuming Frame, by binding: Binding, at now: Int64) -> Int64 {
    counters.block.begin()
    guard binding.epoch == epoch else {
      counters.block.end()
      _ = consume frame
      return now
    }
    let number = counters.count(at: now, pts: frame.pts)
    if frame.stamps.startsAnew { startsAnew = true }
    var cause: DropCause?
    if !table.isEmpty && table[Int(truncatingIfNeeded: number % UInt64(table.count))] != 0 {
      cause = .frameControl
    } else if !accepting {
      cause = .disabled
    } else if isQueued && queue.isFull {
      cause = .queueFull
    }
    if let cause {
      counters.drop(cause)
      counters.block.end()
      drops.note(frame.name, cause, .input, at: now)
      _ = consume frame
      if cause == .queueFull { session?.service.relieve(at: now) }
      return now
    }
    frame.stamps.startsAnew = startsAnew
    startsAnew = false
    guard isQueued else {
      counters.block.end()
      guard let handler = binding.handler else { return now }
      let end = handler.handle(frame, at: now)
      counters.took(end &- now)
      return end
    }
    frame.ref.move(to: user)
    frame.stamps.queued = now
    queue.push(frame)
    counters.block.end()
    session?.schedule()
    let end = Clock.now()
    counters.took(end &- now)
    return end
  }

  /// Opens or shuts the port. Frames that come while it is shut are dropped as `disabled`.
  func accept(_ open: Bool) {
    counters.block.begin()
    accepting = open
    counters.block.end()
    isAccepting.store(open, ordering: .relaxed)
  }

  /// Sets the frame-rate table; with none everything is kept.
  /// - Parameter make: finds the table. One at a time: whoever comes last has seen what all others were called for.
  func updateControl(_ make: () -> [UInt8]?) {
    shownTable.withLock { shown in
      let new = make() ?? []
      guard shown != new else { return }
      shown = new
      // The old array is freed after the frame path is let go on.
      var swapped = new
      counters.block.begin()
      swap(&table, &swapped)
      counters.block.end()
    }
  }

  /// Ends what is bound and, with a source, binds it. The old source's frames stop between two frames.
  func bind(to new: OutPort?) {
    let old = source.exchange(new)
    counters.block.begin()
    epoch &+= 1
    startsAnew = true
    let epoch = epoch
    counters.block.end()
    old?.remove(self)
    new?.add(Binding(port: self, handler: handler, epoch: epoch))
    upstreamChanged()
  }

  /// Counts a frame that was lost before it got here.
  func miss(_ cause: DropCause, _ frame: DroppedFrame = .unknown, at stage: DropStage = .source) {
    counters.missAlone(cause)
    drops.note(frame, cause, stage, at: Clock.now())
  }

  /// Drops what waits. Only by whoever takes frames out, or when nobody does.
  func flush(into work: borrowing WorkCounters) {
    while let frame = queue.pop() {
      work.drop(.flushed, frame.name, at: .queue)
      _ = consume frame
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
import Synchronization

/// Which frame was dropped, as far as that is known.
struct DroppedFrame: Sendable, Equatable {
  /// Number its source gave it; ``unknown``'s when it is not known.
  var number: UInt64 = .max
  /// Microseconds; ``unknown``'s when it is not known.
  var pts: Int64 = .min

  static let unknown = DroppedFrame()
}

extension Frame {
  /// What is kept of it when it is dropped.
  var name: DroppedFrame { DroppedFrame(number: sequence, pts: pts) }
}

/// The last frames that were dropped, of all nodes.
///
/// Losses have a ring of their own: a frame-rate table leaves out many frames a second, as asked, and would push them
/// out.
final class DropLog: Sendable {
  private let losses = DropRing()
  private let others = DropRing()
  /// First parts of the paths of those that have a pen, by the number records have for them.
  private let kinds = Mutex<[String]>([])

  fileprivate func number(of kind: String) -> Int {
    kinds.withLock { kinds in
      if let number = kinds.firstIndex(of: kind) { return number }
      kinds.append(kind)
      return kinds.count - 1
    }
  }

  fileprivate func write(_ record: DropRing.Record, _ cause: DropCause) {
    (cause.isLoss ? losses : others).write(record)
  }

  /// The last 256 losses and the last 256 others, oldest first.
  var records: [DropRecord] {
    let all = (losses.records + others.records).sorted { $0.time < $1.time }
    // After them, so that whoever noted one is in it.
    let kinds = kinds.withLock { $0 }
    return all.compactMap { DropRecord($0, kinds) }
  }
}

/// A node's pen for the drop log, kept beside its counters: whoever counts a dropped frame notes it.
struct DropMark: Sendable {
  private let log: DropLog?
  private let object: UInt64
  /// The node's losses of late.
  private let losses: RecentLosses?

  /// - Parameter log: `nil` notes nothing there.
  init(_ log: DropLog?, _ path: ObjectPath, _ losses: RecentLosses? = nil) {
    self.log = log
    self.losses = losses
    object =
      UInt64(log?.number(of: path.kind) ?? 0) << 16 | UInt64(path.number) << 8
      | UInt64(path.output.map { $0 + 1 } ?? 0)
  }

  /// Notes nothing.
  static let none = DropMark()
  private init() { (log, object, losses) = (nil, 0, nil) }

  /// Takes no lock and allocates nothing.
  func note(_ frame: DroppedFrame, _ cause: DropCause, _ stage: DropStage, at now: Int64) {
    losses?.note(cause, at: now)
    guard let log else { return }
    let what = object << 16 | UInt64(cause.index) << 8 | UInt64(stage.index)
    log.write(DropRing.Record(time: now, number: frame.number, pts: frame.pts, what: what), cause)
  }
}

extension DropStage {
  fileprivate var index: Int {
    switch self {
    case .source: 0
    case .input: 1
    case .queue: 2
    case .work: 3
    case .output: 4
    }
  }
}

extension DropRecord {
  fileprivate init?(_ record: DropRing.Record, _ kinds: [String]) {
    func part(_ shift: Int) -> Int { Int(record.what >> UInt64(shift) & 0xFF) }
    let path = ObjectPath(kinds[part(32)], part(24), output: part(16) == 0 ? nil : part(16) - 1)
    guard let path, let cause = DropCause.allCases.first(where: { $0.index == part(8) }),
      let stage = DropStage.allCases.first(where: { $0.index == part(0) })
    else { return nil }
    self.init(
      monotonicMicroseconds: record.time / 1000, object: "\(path)",
      number: record.number == DroppedFrame.unknown.number ? nil : record.number,
      ptsMicroseconds: record.pts == DroppedFrame.unknown.pts ? nil : record.pts, cause: cause, stage: stage)
  }
}

// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization

/// The counts only a decoder channel has; written by its thread, read by reports.
struct VdecCounters: ~Copyable, Sendable {
  private let bytes = Atomic<UInt64>(0)
  private let noUnit = Atomic<UInt64>(0)
  private let damagedUnits = Atomic<UInt64>(0)
  private let keyWaits = Atomic<UInt64>(0)
  private let clockSlips = Atomic<UInt64>(0)
  private let opens = Atomic<UInt64>(0)
  private let loops = Atomic<UInt64>(0)
  private let damagedPictures = Atomic<UInt64>(0)
  private let layouts = Atomic<UInt64>(0)

  func bytesIn(_ count: Int) { bytes.add(UInt64(max(0, count)), ordering: .relaxed) }
  func skipped(_ count: UInt64) { noUnit.store(count, ordering: .relaxed) }
  func damagedUnit() { damagedUnits.add(1, ordering: .relaxed) }
  func waitedForKey() { keyWaits.add(1, ordering: .relaxed) }
  func slips(_ count: UInt64) { clockSlips.store(count, ordering: .relaxed) }
  func reopened() { opens.add(1, ordering: .relaxed) }
  func looped() { loops.add(1, ordering: .relaxed) }
  func layoutChanged() { layouts.add(1, ordering: .relaxed) }
  func damagedPictures(_ count: UInt64) { damagedPictures.add(count, ordering: .relaxed) }

  /// In the order `stats` shows them.
  func figures() -> [(key: String, value: UInt64)] {
    [
      ("bytes_in", bytes.load(ordering: .relaxed)), ("bytes_skipped", noUnit.load(ordering: .relaxed)),
      ("units_damaged", damagedUnits.load(ordering: .relaxed)),
      ("units_without_key", keyWaits.load(ordering: .relaxed)),
      ("pictures_damaged", damagedPictures.load(ordering: .relaxed)),
      ("layout_changes", layouts.load(ordering: .relaxed)), ("clock_slips", clockSlips.load(ordering: .relaxed)),
      ("engine_reopened", opens.load(ordering: .relaxed)), ("loops", loops.load(ordering: .relaxed)),
    ]
  }
}

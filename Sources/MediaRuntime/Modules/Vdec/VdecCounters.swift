// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
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
  func statistics() -> [Statistic] {
    func count(_ counter: borrowing Atomic<UInt64>) -> UInt64 { counter.load(ordering: .relaxed) }
    return [
      Statistic("bytes_in", .counter, unit: .bytes, "Coded bytes taken in.", count(bytes)),
      Statistic("bytes_skipped", .counter, unit: .bytes, "Bytes that belong to no unit of the stream.", count(noUnit)),
      Statistic("units_damaged", .counter, "Coded units the decoder called damaged.", count(damagedUnits)),
      Statistic(
        "units_without_key", .counter, "Coded units left out while waiting for a key picture.", count(keyWaits)),
      Statistic("pictures_damaged", .counter, "Pictures the decoder called damaged.", count(damagedPictures)),
      Statistic("layout_changes", .counter, "Times the pictures' size or format changed.", count(layouts)),
      Statistic("clock_slips", .counter, "Times the stream's clock was taken anew.", count(clockSlips)),
      Statistic("engine_reopened", .counter, "Times the decoder was opened again.", count(opens)),
      Statistic("loops", .counter, "Times the file began anew.", count(loops)),
    ]
  }
}

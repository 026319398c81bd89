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
  let pace = PaceCounters()
  private let opens = Atomic<UInt64>(0)
  private let loops = Atomic<UInt64>(0)
  private let damagedPictures = Atomic<UInt64>(0)
  private let missingPictures = Atomic<UInt64>(0)
  private let layouts = Atomic<UInt64>(0)
  private let lag = Atomic<Int64>(0)

  func bytesIn(_ count: Int) { bytes.add(UInt64(max(0, count)), ordering: .relaxed) }
  func skipped(_ count: UInt64) { noUnit.store(count, ordering: .relaxed) }
  func damagedUnit() { damagedUnits.add(1, ordering: .relaxed) }
  func waitedForKey() { keyWaits.add(1, ordering: .relaxed) }
  func reopened() { opens.add(1, ordering: .relaxed) }
  func lags(_ microseconds: Int64) { lag.store(microseconds, ordering: .relaxed) }
  var lagMicroseconds: Int64 { lag.load(ordering: .relaxed) }
  func looped() { loops.add(1, ordering: .relaxed) }
  func layoutChanged() { layouts.add(1, ordering: .relaxed) }
  func damagedPicture() { damagedPictures.add(1, ordering: .relaxed) }
  func missing(_ count: Int) { missingPictures.add(UInt64(max(0, count)), ordering: .relaxed) }

  /// In the order `stats` shows them.
  func statistics() -> [Statistic] {
    func count(_ counter: borrowing Atomic<UInt64>) -> UInt64 { counter.load(ordering: .relaxed) }
    return [
      Statistic("bytes_in", .counter, unit: .bytes, "Coded bytes taken in.", count(bytes)),
      Statistic("bytes_skipped", .counter, unit: .bytes, "Bytes that belong to no unit of the stream.", count(noUnit)),
      Statistic(
        "units_damaged", .counter, "Coded units that are cut off or the decoder called damaged.", count(damagedUnits)),
      Statistic(
        "units_without_key", .counter, "Coded pictures left out for want of a key picture before them.",
        count(keyWaits)),
      Statistic(
        "pictures_damaged", .counter, "Pictures given that are damaged, or refer to damaged or lost ones.",
        count(damagedPictures)),
      Statistic(
        "pictures_missing", .counter, "Pictures that the stream's numbering says were lost on the way here.",
        count(missingPictures)),
      Statistic("layout_changes", .counter, "Times the pictures' size or format changed.", count(layouts)),
    ] + pace.statistics("Times the stream's clock was taken anew.") + [
      Statistic("engine_reopened", .counter, "Times the decoder was opened again.", count(opens)),
      Statistic("loops", .counter, "Times the file began anew.", count(loops)),
    ]
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import Reports
internal import SystemPackage

/// The list of DMA-BUFs that the kernel's iterator gives. What refuses it once refuses it for the life of the program, and is said at
/// each look: neither the kernel nor the rights of the program change under it. Of one thread.
final class IteratedBuffers {
  struct Refused: Error {
    /// In words, as `rk_dmabuf/source` says it.
    var reason: String
    /// This program has no descriptor or memory left at this moment; the next look tries again.
    var shortage: Errno?
  }

  /// No machine has so many; their list is 15 MB of the kernel's memory.
  private static let most = 1 << 17
  /// The list is made larger when there are more.
  private var capacity: Int
  private var iterator: BufferIterator?
  private var refusal: Refused?

  init(capacity: Int = 512) { self.capacity = capacity }

  /// Loads the program, where that is still to be tried: some ten milliseconds, and for that long the kernel's description of its types
  /// in memory (5 MB and more).
  func prepare() {
    if refusal?.shortage != nil { refusal = nil }
    guard iterator == nil, refusal == nil else { return }
    do throws(BufferIterator.Refused) {
      iterator = try BufferIterator(capacity: capacity)
    } catch {
      let isShort = error.errno == .tooManyOpenFiles || error.errno == .tooManyOpenFilesInSystem
      refusal = Refused(reason: "BPF iterator: \(error.reason)", shortage: isShort ? error.errno : nil)
    }
  }

  /// - Parameter scan: is told of records that contradict each other.
  func look(_ scan: inout MemoryScan, _ texts: TextStore) throws(Refused) -> [MemoryScan.Buffer] {
    while true {
      prepare()
      if let refusal { throw refusal }
      let list: BufferRecords
      do throws(Errno) {
        guard let found = try iterator?.look() else { throw Errno.notSupported }
        list = BufferRecords(parsing: found.records, seen: found.seen, texts)
      } catch {
        throw refuse(error)
      }
      guard list.missing > 0 else {
        scan.disagreements += list.faults
        return list.buffers
      }
      // What is there is more than the list holds: with a larger one from the beginning.
      guard capacity < Self.most else { throw refuse(.outOfRange) }
      iterator = nil
      capacity = min(Self.most, (list.buffers.count + list.missing) * 2)
    }
  }

  /// What ended a look, for good unless this program has only run out of something.
  private func refuse(_ error: Errno) -> Refused {
    let isShort = [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory].contains(error)
    let refused = Refused(reason: "BPF iterator: a look ended with: \(error)", shortage: isShort ? error : nil)
    if !isShort {
      iterator = nil
      refusal = refused
    }
    return refused
  }
}

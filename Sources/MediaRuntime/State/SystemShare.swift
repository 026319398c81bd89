// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What this process and the others have of the system's DMA-BUFs.
final class SystemShare: Sendable {
  private let own = Atomic<Int>(0)
  private let rest = Atomic<Int>(0)

  /// Bytes of DMA-BUFs of this process.
  var ownBuffers: Int { own.load(ordering: .relaxed) }
  /// Bytes of all others, when somebody last looked.
  var others: Int { rest.load(ordering: .relaxed) }

  func addOwn(_ bytes: Int) { own.add(bytes, ordering: .relaxed) }

  /// - Parameter bytes: of all DMA-BUFs, those of this process among them.
  func note(system bytes: UInt64) { rest.store(max(0, Int(clamping: bytes) - ownBuffers), ordering: .relaxed) }
}

extension MediaGraph {
  /// Somebody has looked at all DMA-BUFs of the system.
  /// - Parameter hasNew: there are some that were not there at the look before.
  /// - Returns: bytes of them and of the rest of this process's picture memory.
  public func noteSystemMemory(_ bytes: UInt64, hasNew: Bool) -> UInt64 {
    environment.ledger.system.note(system: bytes)
    if hasNew { environment.ledger.notePeak() }
    return environment.ledger.totals.totalBytes
  }
}

// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `valloc`: every buffer with its users, every pool with its low-water mark.
public enum VAllocPage {
  static func page(_ dialect: Dialect) -> Page {
    Page("valloc", "buffers and pools: sizes, users, low-water marks") {
      let (buffers, pools) = ($0.allocations.buffers, $0.allocations.pools)
      write(buffers: buffers, pools: pools, identity: $0.identity, dialect: dialect, to: &$1)
    }
  }

  /// Writes the page.
  public static func write(
    buffers: [BufferReport], pools: [PoolReport], identity: SystemIdentity, dialect: Dialect, to out: inout TextWriter
  ) {
    let isNew = dialect == .rockit1481
    writePreamble("valloc", identity, to: &out)
    writeStarTitle("mpi buf list", leading: 43, trailing: 39, to: &out)
    out.text("buf_id-pool_id-refcnt-dmacnt-size------handle-----")
    if isNew { out.text("vaddr------paddr------") }
    out.text("create-----------user-------------------------\n")
    var total: UInt64 = 0
    for buffer in buffers {
      writeBuffer(buffer, isNew, to: &out)
      if buffer.sharing != .sharedView { total &+= buffer.size }
    }
    out.text("total:")
    out.left(total, 16)
    out.newline()

    writeStarTitle("mpi pool list", leading: 37, trailing: 35, to: &out)
    out.text("poid-")
    if isNew { out.text("nkid-") }
    out.text("total-free-min-size-------------create-----------user---------------------------\n")
    for pool in pools { writePool(pool, isNew, to: &out) }
    out.newline()
  }

  private static func writeBuffer(_ buffer: BufferReport, _ isNew: Bool, to out: inout TextWriter) {
    out.left(buffer.id, 6)
    out.byte(0x20)
    out.left(buffer.poolID ?? -1, 7)
    out.byte(0x20)
    out.left(buffer.references, 6)
    out.byte(0x20)
    // Without a DMA-BUF the older node prints 0, the newer one -1.
    out.left(buffer.kernelReferences ?? (isNew ? -1 : 0), 6)
    out.byte(0x20)
    if buffer.sharing == .sharedView {
      // A view of shared ("wrap") memory: the older node prints 0, the newer one -1.
      out.left(isNew ? -1 : 0, 9)
    } else {
      out.left(buffer.size, 9)
    }
    out.byte(0x20)
    let handle = buffer.handle ?? standInAddress(buffer.id)
    out.leftHexadecimal(handle, 10)
    out.byte(0x20)
    if isNew {
      let mapping = buffer.mapping ?? (buffer.isMapped ? standInAddress(buffer.id) : 0)
      out.leftHexadecimal(mapping, 10)
      out.byte(0x20)
      out.leftHexadecimal(buffer.physicalAddress ?? 0, 10)
      out.byte(0x20)
    }
    out.leftWord(buffer.creator, 16)
    out.byte(0x20)
    for user in buffer.users {
      if user.isGone && isNew {
        out.text("deleted_")
        out.hexadecimal(standInAddress(user.nodeID))
      } else {
        writeUser(user, to: &out)
      }
      out.byte(0x28)
      out.number(user.slot)
      out.text(") ")
    }
    out.newline()
  }

  private static func writePool(_ pool: PoolReport, _ isNew: Bool, to out: inout TextWriter) {
    out.left(pool.id, 4)
    out.byte(0x20)
    if isNew {
      out.left(pool.kernelPoolID ?? -1, 4)
      out.byte(0x20)
    }
    out.left(pool.total, 5)
    out.byte(0x20)
    out.left(pool.free, 4)
    out.byte(0x20)
    out.left(pool.minimumFree, 3)
    out.byte(0x20)
    out.left(pool.bufferSize, 16)
    out.byte(0x20)
    out.leftWord(pool.creator, 16)
    out.byte(0x20)
    // The vendor puts nothing between the users of a pool.
    for user in pool.users { writeUser(user, to: &out) }
    out.newline()
  }

  private static func writeUser(_ user: BufferUser, to out: inout TextWriter) {
    out.word(user.node)
    out.byte(0x5F)
    out.number(user.nodeID)
  }
}

/// What stands in a pointer column: a number that is stable for the life of the object and is never a real address.
func standInAddress(_ id: Int) -> UInt64 { 0x1000_0000 &+ UInt64(truncatingIfNeeded: id) }

// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LinuxMedia
public import MediaCore

/// Memory of a DRM card for pictures of one size, exported as DMA-BUFs: what a display without IOMMU can scan out.
/// Black, as far as zeros are (RGB).
///
/// Does not keep the card open.
public struct DumbAllocator: Allocator {
  private final class Place: Sendable {
    // Only read after init.
    nonisolated(unsafe) weak var card: DRMCard?
    init(_ card: DRMCard) { self.card = card }
  }

  private let place: Place
  private let path: String
  private let extent: (width: Int, lines: Int, bits: Int)

  init(_ card: DRMCard, extent: (width: Int, lines: Int, bits: Int)) {
    place = Place(card)
    path = card.path
    self.extent = extent
  }

  /// `drm:card1`.
  public var name: String { "drm:\(path.split(separator: "/").last ?? "card")" }

  /// - Throws: ENODEV the card was closed; ENOSYS it gives no such memory; ENOMEM; EINVAL more than was planned for.
  public func allocate(size: Int, label: String) throws(Failure) -> any Memory {
    guard let card = place.card else { throw Failure(.deviceGone, "allocate", on: path, "the card was closed") }
    let memory = try asFailure("display memory of \(path)") { () throws(KernelError) in
      let buffer = try card.dumbBuffer(width: extent.width, lines: extent.lines, bitsPerPixel: extent.bits)
      return try named(buffer.take(), label: label, kernel: card.kernel)
    }
    guard memory.size >= size else {
      throw Failure(.invalidArgument, "allocate", on: path, "\(memory.size) bytes where \(size) were planned")
    }
    // Not every driver clears it.
    let start = try memory.map()
    try memory.beginCPUAccess(write: true)
    memset(start, 0, memory.size)
    try memory.endCPUAccess(write: true)
    return memory
  }
}

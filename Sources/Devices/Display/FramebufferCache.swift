// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// Framebuffers of the buffers a display was shown, so that each is imported once. Forgets those whose buffer is gone:
/// a framebuffer keeps the memory, which must not outlive its pool for long.
struct FramebufferCache {
  static let limit = 32

  private struct Entry {
    weak var buffer: Buffer?
    let layout: FrameLayout
    let framebuffer: Framebuffer
  }

  private var entries: [Entry] = []
  /// Imports made.
  private(set) var imports: UInt64 = 0

  /// The framebuffer of a buffer's pixels laid out like this.
  /// - Throws: ENOTSUP memory no other device can reach or a format without a DRM code; what the driver says.
  mutating func framebuffer(
    _ buffer: Buffer, _ layout: FrameLayout, isLinear: Bool, on card: DRMCard
  ) throws(Failure) -> Framebuffer {
    for index in entries.indices where entries[index].buffer === buffer && entries[index].layout == layout {
      return entries[index].framebuffer
    }
    let new = try FramebufferCache.make(buffer, layout, isLinear: isLinear, on: card)
    imports += 1
    entries.removeAll { $0.buffer == nil }
    if entries.count >= FramebufferCache.limit { entries.removeFirst() }
    entries.append(Entry(buffer: buffer, layout: layout, framebuffer: new))
    return new
  }

  private static func make(
    _ buffer: Buffer, _ layout: FrameLayout, isLinear: Bool, on card: DRMCard
  ) throws(Failure) -> Framebuffer {
    guard let format = PlaneChoice.scannedOut(layout.format), let code = DisplayFormat.fourcc(format) else {
      throw Failure(.notSupported, "import", on: card.path, "no display takes \(layout.format)")
    }
    var planes: [FramebufferLayout.Plane] = []
    for plane in [layout.plane0, layout.plane1, layout.plane2].prefix(layout.planeCount) {
      let index = Int(plane.memory)
      guard index >= 0, index < buffer.memoryCount else {
        throw Failure(.invalidArgument, "import", on: card.path, "plane in memory \(index) of \(buffer.memoryCount)")
      }
      let memory = buffer.memory(index)
      guard memory.isDMABuf else {
        throw Failure(.notSupported, "import", on: card.path, "\(memory.exporter) memory cannot be shared")
      }
      planes.append(
        FramebufferLayout.Plane(
          descriptor: memory.fileDescriptor, pitch: UInt32(plane.stride), offset: UInt32(plane.offset)))
    }
    let description = FramebufferLayout(
      width: UInt32(layout.width), height: UInt32(layout.height), format: code, planes: planes)
    return try asFailure { () throws(KernelError) in try card.framebuffer(description, isLinear: isLinear) }
  }

  var framebuffers: [Framebuffer] { entries.map(\.framebuffer) }
  mutating func forgetGone() { entries.removeAll { $0.buffer == nil } }
  mutating func removeAll() { entries.removeAll() }
}

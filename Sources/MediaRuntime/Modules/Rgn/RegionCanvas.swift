// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The two canvases of a region: the one that is shown, and the one the next bitmap is written to. They lie in buffers of a pool
/// of their own, as the vendor's do, and are seen in `valloc`.
///
/// Ownership: of the workbench; the pool lives until its last buffer has come back.
struct RegionCanvas: ~Copyable {
  static let count = 2

  private let name: String
  private let creator: PoolRegistry.Creator
  private let environment: Environment
  private var pool: Pool?
  private var shown: BufferRef?

  init(_ identity: ObjectIdentity, _ environment: Environment) {
    name = "\(identity.path.kind)\(identity.path.number)"
    creator = PoolRegistry.Creator(path: "\(identity.path)", generation: identity.generation)
    self.environment = environment
  }

  /// The buffer that is shown.
  private(set) var buffer: Buffer?

  /// Shows another bitmap. The one before is shown until this one is whole.
  /// - Throws: ENOMEM, what mapping says.
  mutating func show(_ bytes: [UInt8]) throws(Failure) {
    // As much more as the next text may be wider, so that not every second takes other buffers.
    let step = 16384
    if pool.map({ $0.bufferSize < bytes.count || $0.bufferSize > 4 * bytes.count + step }) ?? true {
      let size = (bytes.count + step - 1) / step * step
      let new = try Pool(name: name, size: size, count: Self.count, allocator: environment.allocator)
      try environment.pools.add(new, creator: creator, user: .anonymous, isLent: false)
      try write(bytes, to: new)
      if let pool { environment.pools.close(pool, user: .anonymous) }
      pool = new
      return
    }
    guard let pool else { return }
    try write(bytes, to: pool)
  }

  private mutating func write(_ bytes: [UInt8], to pool: Pool) throws(Failure) {
    guard let next = pool.take(as: .anonymous) else {
      throw Failure(.noBufferSpace, "show", on: name, "no canvas is free")
    }
    let memory = next.buffer.memory
    let target = try memory.map()
    try memory.beginCPUAccess(write: true)
    bytes.withUnsafeBytes { source in
      if let base = source.baseAddress { target.copyMemory(from: base, byteCount: source.count) }
    }
    try memory.endCPUAccess(write: true)
    buffer = next.buffer
    shown = consume next
  }

  /// Nothing is shown any more.
  mutating func clear() {
    shown = nil
    buffer = nil
    if let pool { environment.pools.close(pool, user: .anonymous) }
    pool = nil
  }
}

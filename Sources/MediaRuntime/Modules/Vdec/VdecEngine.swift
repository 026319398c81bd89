// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization
import SystemPackage

/// The decoder of a channel and how it was chosen. Used by the channel's thread, or by the control lane before that
/// thread runs; `interrupt` may come from any.
///
/// Ownership: owns the open decoder and what it put into the list of pools.
final class VdecEngine: @unchecked Sendable {
  private let node: Node
  private let environment: Environment
  private let backend: String
  /// Where pictures lie; `nil` for a pool of the decoder's own.
  private let pool: Pool?
  private(set) var decoder: (any Decoder)?
  private(set) var factory: (any DecoderFactory)?
  private(set) var codec: Codec?
  /// Why the engines before this one were passed over.
  private(set) var passedOver: [String] = []
  /// Pictures the open decoder has given.
  var pictures: UInt64 = 0
  /// Hardware that was opened again and again and gave nothing.
  private var hopeless: Set<String> = []
  /// The catalogue that was chosen from.
  private var version = 0
  private var shownPool: (any BufferPool)?
  private var bytesCopied: UInt64 = 0
  private var damaged: UInt64 = 0

  /// The decoder once more, for `interrupt`.
  private struct Live {
    var decoder: (any Decoder)?
    var isInterrupted = false
  }
  private let live = Mutex(Live())

  init(backend: String, pool: Pool?, node: Node, environment: Environment) {
    self.pool = pool
    self.backend = backend
    self.node = node
    self.environment = environment
  }

  /// Opens the first engine that can be opened.
  /// - Throws: what the last one said; ENOTSUP when there is none.
  func open(_ codec: Codec) throws(Failure) {
    close()
    noteVersion()
    var last: Failure?
    passedOver = []
    for factory in environment.engines.decoders(backend: backend, for: codec) {
      if backend == "auto", hopeless.contains(factory.name) {
        passedOver.append("\(factory.name) gave no picture")
        continue
      }
      do throws(Failure) {
        let new = try factory.open(
          DecoderConfiguration(
            codec: codec, allocator: environment.allocator, user: node.user, poolName: "vdec\(node.channel)",
            bufferCount: environment.sourceBuffers, pool: pool))
        let isInterrupted = live.withLock { live in
          live.decoder = new
          return live.isInterrupted
        }
        if isInterrupted { new.interrupt() }
        decoder = new
        self.factory = factory
        self.codec = codec
        pictures = 0
        bytesCopied = 0
        damaged = 0
        return
      } catch {
        passedOver.append("\(factory.name): \(error)")
        last = error
      }
    }
    throw last
      ?? Failure(.notSupported, "open", on: "\(node.path)", "no engine here decodes \(codec.rawValue) (\(backend))")
  }

  private func noteVersion() {
    let now = environment.enginesVersion
    guard now != version else { return }
    version = now
    hopeless = []
  }

  /// Whether devices have come or gone since this was asked last, and one that is preferred to the decoder in use is
  /// there now.
  func mayBeBettered() -> Bool {
    guard environment.enginesVersion != version, let factory, let codec else { return false }
    noteVersion()
    let able = environment.engines.decoders(backend: backend, for: codec)
    return able.first?.name != factory.name && able.contains { $0.name == factory.name }
  }

  /// Pictures of it may come between two calls.
  var worksByItself: Bool { decoder?.waker != nil }

  /// Ends its wait for a picture. From any thread.
  func wake() { live.withLock { $0.decoder }?.waker?.wake() }

  /// Gives up the decoder.
  func close() {
    guard let old = decoder else { return }
    if let shownPool { environment.pools.giveUp(shownPool, user: node.user, path: node.creator.path) }
    shownPool = nil
    decoder = nil
    live.withLock { $0.decoder = nil }
    _ = old
  }

  /// The decoder is broken for good or fails again and again: another one will be opened.
  func giveUp() {
    if let factory, factory.isHardware, pictures == 0 { hopeless.insert(factory.name) }
    close()
  }

  func interrupt() {
    let decoder = live.withLock { live in
      live.isInterrupted = true
      return live.decoder
    }
    decoder?.interrupt()
  }

  /// Looks whether the pictures lie in another pool than before.
  /// - Returns: true when they do.
  /// - Throws: ENOMEM when a device's own buffers pass the limit.
  func notePool() throws(Failure) -> Bool {
    let pool = decoder?.pool
    guard pool !== shownPool else { return false }
    if let shownPool { environment.pools.giveUp(shownPool, user: node.user, path: node.creator.path) }
    shownPool = pool
    if let pool {
      try environment.pools.add(
        pool, creator: node.creator, user: node.user, isLent: pool.memoryKind != environment.allocator.name)
    }
    return true
  }

  /// Bytes of pixels the CPU wrote besides decoding, since this was asked last.
  func takeBytesCopied() -> Int {
    let now = decoder?.counters.bytesCopied ?? 0
    defer { bytesCopied = now }
    return now >= bytesCopied ? Int(now - bytesCopied) : 0
  }

  /// Pictures that came out damaged, since this was asked last.
  func takeDamaged() -> UInt64 {
    let now = decoder?.counters.damaged ?? 0
    defer { damaged = now }
    return now >= damaged ? now - damaged : 0
  }

  /// Why this engine, for `active`.
  var why: String {
    guard backend == "auto", let factory else { return "" }
    let reason = factory.isHardware ? "auto: a device is there" : "auto: no device here decodes this"
    return passedOver.isEmpty ? reason : "auto: \(passedOver.joined(separator: "; "))"
  }
}

// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
public import MediaCore
import Synchronization

/// The built-in moving test picture, at any size from 32x32 in I420 or NV12.
public struct PatternSourceFactory: SourceFactory {
  public init() {}

  public func handles(_ input: InputSpecification) -> Bool { input == .pattern }

  public func open(_ input: InputSpecification, _ request: SourceRequest) throws(Failure) -> any Source {
    guard input == .pattern else { throw Failure(.invalidArgument, "open", on: "\(input)", "not the test pattern") }
    return try PatternSource(request)
  }
}

/// Makes test frames as fast as buffers come home; the runtime paces them by their time stamps.
///
/// Owns its pool and the rendered parts of the picture; leaves the pool when it goes. `next` is called by one thread.
final class PatternSource: Source, @unchecked Sendable {
  let summary = "pattern"
  static let color = ColorDescription(.smpte170m, primaries: 6, transfer: 6)
  let layout: FrameLayout
  let frameRate: FrameRate
  let isLive = false
  var memoryKind: String { ownPool.memoryKind }
  var pool: (any BufferPool)? { ownPool }

  private let ownPool: Pool
  private let user: UserSlot
  private let painter: PatternPainter
  private let frameBytes: UInt64
  private let wake = Wake(false)
  /// Made once, so that waiting for a buffer allocates nothing.
  private let signal: @Sendable () -> Void
  private let interrupted = Atomic<Bool>(false)
  private let copied = Atomic<UInt64>(0)
  private var sequence: UInt64 = 0

  init(_ request: SourceRequest) throws(Failure) {
    guard request.format == .i420 || request.format == .nv12 else {
      throw Failure(.notSupported, "format", on: "pattern", "i420 or nv12, not \(request.format)")
    }
    let (width, height) = request.size(ofOwn: 1920, 1080)
    guard (32...16384).contains(width), (32...16384).contains(height), width % 2 == 0,
      height % 2 == 0,
      var layout = FrameLayout(request.format, width: width, height: height)
    else {
      throw Failure(
        .outOfRange, "size", on: "pattern", "\(width)x\(height): 32x32 to 16384x16384, even")
    }
    // Its samples are painted as such.
    (layout.color, layout.aspect) = (PatternSource.color, .square)
    self.layout = layout
    frameRate = request.frameRate
    user = request.user
    frameBytes = UInt64(PlaneExtent.byteCount(request.format, width: width, height: height))
    painter = PatternPainter(width: width, height: height, format: request.format)
    ownPool = try Pool.serving(
      request.pool, name: request.poolName, size: layout.byteCount, count: max(2, request.bufferCount),
      allocator: request.allocator)
    let wake = wake
    signal = { wake.signal() }
  }

  deinit { ownPool.leave() }

  var counters: SourceCounters {
    var counters = SourceCounters()
    counters.bytesCopied = copied.load(ordering: .relaxed)
    return counters
  }

  func next() throws(Failure) -> Frame? {
    while !interrupted.load(ordering: .acquiring) {
      guard let ref = ownPool.take(as: user, orWaits: true) else {
        ownPool.whenFree(as: user, signal)
        wake.waitForSignal()
        continue
      }
      return try paint(ref)
    }
    return nil
  }

  private func paint(_ ref: consuming BufferRef) throws(Failure) -> Frame {
    let captured = Clock.now()
    let pts = Int64(sequence) * 1_000_000 * Int64(frameRate.denominator) / Int64(frameRate.numerator)
    let frame = Frame(
      ref, layout: layout, pts: pts, sequence: sequence, stamps: FrameStamps(captured: captured), isOwn: true)
    let pixels = try frame.beginPixels(write: true)
    painter.paint(pixels, number: sequence, clock: Clock.realtime())
    try frame.endPixels(write: true)
    copied.add(frameBytes, ordering: .relaxed)
    sequence += 1
    return frame
  }

  func interrupt() {
    interrupted.store(true, ordering: .releasing)
    wake.signal()
  }
}

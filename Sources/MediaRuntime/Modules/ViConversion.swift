// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// Makes raw pictures of what an input gives, on the input's own thread, in buffers of its own pool.
///
/// Ownership: the run that made it; the pool lives on until its last picture came home.
final class ViConversion: Sendable {
  /// What the input announced when it was made.
  let input: FrameLayout
  private let converter: any PictureConverter
  private let pool: Pool
  private let environment: Environment

  var layout: FrameLayout { converter.layout }

  /// - Returns: `nil` when the graph works on the input's pictures as they are.
  /// - Throws: what opening the converter or making its buffers failed with.
  static func make(
    _ input: FrameLayout, wanted: PixelFormat, name: String, user: UserSlot, _ environment: Environment
  ) throws(Failure) -> ViConversion? {
    guard let factory = environment.engines.converters.first(where: { $0.inputs.contains(input.format) }),
      let output = factory.outputs.contains(wanted) ? wanted : factory.outputs.first
    else { return nil }
    return try ViConversion(input, try factory.open(input, to: output), name, user, environment)
  }

  private init(
    _ input: FrameLayout, _ converter: any PictureConverter, _ name: String, _ user: UserSlot,
    _ environment: Environment
  ) throws(Failure) {
    self.input = input
    self.converter = converter
    self.environment = environment
    // A full queue, one being worked on, one being made, as the input's own pool has.
    self.pool = try Pool(
      name: name, size: converter.layout.byteCount, count: environment.options.queueDepth + 2,
      allocator: environment.allocator)
    environment.pools.add(pool, user: user, isLent: false)
  }

  /// A raw picture; `nil` when no buffer is free.
  /// - Parameter written: is set to how many bytes were written for it.
  /// - Throws: EILSEQ when the picture is damaged.
  func convert(_ frame: borrowing Frame, as user: UserSlot, written: inout Int) throws(Failure) -> Frame? {
    guard let buffer = pool.take(as: user) else { return nil }
    let made = Frame(buffer, layout: layout, pts: frame.pts, sequence: frame.sequence, stamps: frame.stamps)
    written = try converter.convert(frame, into: made)
    return made
  }

  /// No more pictures are made; buffers in use come home by themselves.
  func close() {
    pool.close()
    environment.pools.giveUp(pool)
  }

  /// For `active`: `mjpeg -> i420 by libturbojpeg 2.1.5 (...)`.
  var summary: String {
    let text = "\(input.format) -> \(layout.format) by \(converter.engine)"
    return converter.remark.isEmpty ? text : "\(text) (\(converter.remark))"
  }

  var memory: String { pool.memoryKind }
}

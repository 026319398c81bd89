// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// Makes pictures of another size, format or orientation out of those that come, in buffers of a pool of its own: the one
/// place for it in all modules. Raw pictures of a camera's JPEG ones, an output's of a scaler, what an encoder or a
/// display takes.
///
/// Ownership: the channel that made it closes it; the pool lives on until its last picture has come back.
final class Converter: Sendable {
  /// What does the work.
  private enum Engine: Sendable {
    case scaler(any Scaler, crop: Rectangle?, PictureTransform)
    case pictures(any PictureConverter)
  }

  /// Pictures as they come.
  let input: FrameLayout
  /// Pictures as they leave.
  let layout: FrameLayout
  let pool: Pool
  /// Name of the factory the engine is from, as `backend` takes it.
  let backend: String
  /// The device frames wait for, `nil` where the CPU works.
  let device: String?
  /// Name of the scaler that was to be asked first when this one was chosen; `nil` where it is no scaler's work.
  let preferred: String?
  private let engine: Engine
  /// Around the picture made; `nil` where it fills its frame.
  private let bars: Bars?
  private let node: Node
  private let environment: Environment

  /// Where the pictures are made.
  struct Place {
    var name: String
    /// Whose pictures they are.
    var node: Node
    var count: Int
    /// Bytes of a buffer where a picture is only a part of it.
    var bufferSize: Int?
    /// `nil` for the graph's own.
    var allocator: (any Allocator)?
    /// A converter that is replaced: its pool is taken over where it fits.
    var old: Converter?
    /// Where the buffers come from; `nil` for a pool of its own.
    var pool: Pool?
  }

  private init(
    _ engine: Engine, from input: FrameLayout, to layout: FrameLayout, backend: String, device: String?,
    preferred: String? = nil, bars: Bars? = nil, _ place: Place, _ environment: Environment
  ) throws(Failure) {
    self.engine = engine
    self.bars = bars
    self.preferred = preferred
    self.input = input
    self.layout = layout
    self.backend = backend
    self.device = device
    self.environment = environment
    let size = place.bufferSize ?? layout.byteCount
    node = place.node
    if place.pool == nil, let old = place.old, old.layout == layout, old.pool.bufferSize == size, !old.pool.isShared {
      pool = old.pool
    } else {
      let count = max(place.count, environment.services.leastBuffers(for: device))
      let allocator = place.allocator.map { CountingAllocator(base: $0, ledger: environment.ledger) }
      pool = try Pool.serving(
        place.pool, name: place.name, size: size, count: count, allocator: allocator ?? environment.allocator)
      // Who takes from the same shared pool as before is listed there.
      if place.old?.pool !== pool {
        try environment.pools.add(pool, creator: node.creator, user: node.user, isLent: false)
      }
    }
  }

  /// One that scales, crops, converts or turns.
  /// - Parameters:
  ///   - bars: around the picture in its frame.
  ///   - factories: those that can do it, the preferred first. What a device refuses another may do.
  /// - Throws: what the first said when none can be opened; ENOMEM.
  static func scaling(
    _ input: FrameLayout, to layout: FrameLayout, crop: Rectangle? = nil,
    transform: PictureTransform = PictureTransform(), bars: Bars? = nil, by factories: [any ScalerFactory],
    in place: Place, _ environment: Environment, refused: (Failure) -> Void = { _ in }
  ) throws(Failure) -> Converter {
    var first: Failure?
    for factory in factories {
      let scaler: any Scaler
      do throws(Failure) {
        scaler = try factory.open(input, crop: crop, transform: transform, to: bars?.inside ?? layout)
      } catch {
        refused(error)
        first = first ?? error
        continue
      }
      return try Converter(
        .scaler(scaler, crop: crop, transform), from: input, to: layout, backend: factory.name, device: factory.device,
        preferred: factories.first?.name, bars: bars, place, environment)
    }
    throw first
      ?? Failure(
        .notSupported, "convert", on: place.name,
        "no scaler here makes \(layout.width)x\(layout.height) \(layout.format) of "
          + "\(input.width)x\(input.height) \(input.format)\(crop == nil ? "" : ", cropped")")
  }

  /// One that makes raw pictures of those the graph cannot work on.
  /// - Returns: `nil` when it can.
  /// - Throws: ENOTSUP, ENOMEM.
  static func decoding(
    _ input: FrameLayout, wanted: PixelFormat, in place: Place, _ environment: Environment
  ) throws(Failure) -> Converter? {
    guard let factory = environment.engines.converters.first(where: { $0.inputs.contains(input.format) }),
      let output = factory.outputs.contains(wanted) ? wanted : factory.outputs.first
    else { return nil }
    let pictures = try factory.open(input, to: output)
    return try Converter(
      .pictures(pictures), from: input, to: pictures.layout, backend: factory.name, device: nil, place, environment)
  }

  /// With `auto` another scaler would be asked first now: a device went out of work, or a better one is there or back.
  var isOutdated: Bool {
    guard case .scaler(_, let crop, let transform) = engine else { return false }
    let first = environment.scalers("auto", input, crop: crop, transform: transform, to: target, for: node)
      .first
    return first.map { $0.name != preferred } ?? false
  }

  /// Its device is out of work, and another scaler can do what it does.
  var mayBeLeft: Bool { device != nil && isOutdated }

  /// The same work of incoming pictures of another size, where the scaler takes that too.
  func taking(_ other: FrameLayout, crop: Rectangle?, transform: PictureTransform, bars: Bars?) -> Converter? {
    guard case .scaler(let scaler, _, _) = engine, other.format == input.format, other.color == input.color else {
      return nil
    }
    return Converter(self, .scaler(scaler, crop: crop, transform), from: other, bars)
  }

  private init(_ old: Converter, _ engine: Engine, from input: FrameLayout, _ bars: Bars?) {
    self.engine = engine
    self.bars = bars
    self.input = input
    layout = old.layout
    pool = old.pool
    backend = old.backend
    preferred = old.preferred
    device = old.device
    node = old.node
    environment = old.environment
  }

  /// Makes a picture.
  /// - Parameter isPart: what came is what is to be cropped out of an incoming picture, in whatever size.
  /// - Parameter copied: bytes of pixels the CPU wrote for it are added.
  /// - Returns: `nil` when no buffer is free.
  /// - Throws: EILSEQ when the picture that came is damaged; what the device said.
  func picture(
    of frame: borrowing Frame, isPart: Bool = false, as user: UserSlot, copied: inout Int
  ) throws(Failure) -> Frame? {
    guard let buffer = pool.take(as: user) else { return nil }
    var made = Frame(
      buffer, layout: layout, pts: frame.pts, sequence: frame.sequence, stamps: frame.stamps, isOwn: true)
    switch engine {
    case .scaler(let scaler, let crop, let transform):
      made.layout = target
      copied += try scaler.scale(frame, crop: isPart ? nil : crop, transform: transform, to: &made)
      made.layout = layout
      // Anew for each picture: what is drawn into one may lie on them.
      if let bars { copied += try bars.draw(on: made) }
    case .pictures(let pictures):
      copied += try pictures.convert(frame, into: made)
    }
    return made
  }

  /// No more pictures are made, unless by one that has taken the pool over; buffers in use come back by themselves.
  func close(for new: Converter? = nil) {
    guard new?.pool !== pool else { return }
    environment.pools.close(pool, user: node.user, path: node.creator.path)
  }

  /// Engine and version.
  var engineName: String {
    switch engine {
    case .scaler(let scaler, let crop, let transform):
      scaler.engine(for: input, crop: crop, transform: transform, to: target)
    case .pictures(let pictures): pictures.engine
    }
  }

  /// The same for pictures made of one `ratio` times larger than they are.
  func engineName(ofPicturesLarger ratio: Int) -> String {
    if ratio == 1 { return "none, buffers are passed on" }
    guard case .scaler(let scaler, _, let transform) = engine,
      let larger = FrameLayout(layout.format, width: Int(layout.width) * ratio, height: Int(layout.height) * ratio)
    else { return engineName }
    var from = larger
    from.color = layout.color
    return scaler.engine(for: from, crop: nil, transform: transform, to: layout)
  }

  /// For `active`: `mjpeg -> i420 by libturbojpeg 2.1.5 (...)`.
  var summary: String {
    let text = "\(input.format) -> \(layout.format) by \(engineName)"
    guard case .pictures(let pictures) = engine, !pictures.remark.isEmpty else { return text }
    return "\(text) (\(pictures.remark))"
  }

  var memory: String { pool.memoryKind }

  /// The CPU takes some of a device's steps.
  var isInSteps: Bool {
    if case .scaler(let scaler, _, _) = engine { return scaler is SteppedScaler }
    return false
  }

  /// What is done by whom, in order, where more than one engine is at it: `scale /dev/video9, rotate libyuv`.
  var stepFacts: [(step: String, by: String)] {
    guard case .scaler(let scaler, let crop, let transform) = engine else { return [] }
    let steps = scaler.steps(for: input, crop: crop, transform: transform, to: target)
    guard let bars, device != nil else { return steps }
    return (steps.isEmpty ? [("scale", backend)] : steps) + [("bars", bars.engine)]
  }

  /// How many steps of a picture a device takes, and how many the CPU.
  var stepCounts: (device: Int, cpu: Int) {
    let all = max(1, stepFacts.count + (device == nil && bars != nil ? 2 : 0))
    return device == nil ? (0, all) : (1, all - 1)
  }

  /// What the engine makes: all of the picture that leaves, or what lies between bars.
  private var target: FrameLayout { bars?.inside ?? layout }
}

extension FrameLayout {
  /// What the samples mean, for `active`.
  var meaningFacts: [KeyValue] {
    [KeyValue(key: "color", value: "\(color)")]
      + (aspect == .unknown || aspect == .square ? [] : [KeyValue(key: "sample_aspect", value: "\(aspect)")])
  }
}

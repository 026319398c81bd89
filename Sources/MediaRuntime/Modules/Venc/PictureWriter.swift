// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore

/// Takes the pictures of one engine: puts their bytes into the channel's ring, reads type and quantiser from them, and
/// counts. Used by the session's worker, or by the control lane while the session is halted.
final class PictureWriter {
  /// Bytes of a picture's beginning that are looked into: parameter sets, slice headers, JPEG tables.
  private static let headSize = 16 << 10

  private let node: Node
  private let ring: PacketRing
  private let codec: Codec
  private let onPicture: (CodedPicture, _ bytes: Int, _ pts: Int64, _ now: Int64) -> Void
  private var parser: PictureParser
  /// `nil` for codings without parameter sets.
  private let front: PictureFront?
  private let head = UnsafeMutableRawPointer.allocate(byteCount: PictureWriter.headSize, alignment: 16)
  private var headCount = 0
  private var bytes = 0
  private var slices: SliceCounter?

  private var pending = PendingFrames()
  /// The engine has several frames inside: each one's work ends when it is answered for, and is recorded then.
  var recordsWork = false
  /// So many of the oldest frames, or the one just given, get no picture.
  var onLost: (Int) -> Void = { _ in }
  /// What becomes of a picture of so many bytes; of engines that have nothing inside.
  var fate: (_ bytes: Int) -> PictureFate = { _ in .kept }
  /// A picture was not kept: it is coded again, or left out.
  var onTakenBack: (PictureFate) -> Void = { _ in }
  /// How the frame just given is to be coded again.
  private var again: EncodeDirective?
  /// What the stream's headers say, for reports.
  private let shown: Published<StreamSyntax?>
  private var shownSyntax: StreamSyntax?

  init(
    node: Node, ring: PacketRing, codec: Codec, shown: Published<StreamSyntax?>,
    onPicture: @escaping (CodedPicture, _ bytes: Int, _ pts: Int64, _ now: Int64) -> Void
  ) {
    self.node = node
    self.ring = ring
    self.codec = codec
    self.parser = PictureParser(codec)
    self.front = PictureFront(codec)
    self.slices = SliceCounter(codec)
    self.shown = shown
    self.onPicture = onPicture
  }

  deinit {
    head.deallocate()
  }

  /// Since when the oldest frame has been inside, CLOCK_MONOTONIC nanoseconds.
  var busySince: Int64? { pending.oldest?.start }

  /// The engine is given this frame.
  func expect(_ frame: DroppedFrame, start: Int64, wait: Int64) {
    if pending.isFull {
      leftOut(1)
    }
    pending.append(PendingFrames.Entry(pts: frame.pts, number: frame.number, start: start, wait: wait))
  }

  /// How the frame that the engine was just given is to be coded again; asked once.
  func takeAgain() -> EncodeDirective? {
    defer { again = nil }
    return again
  }

  /// The frame that was just expected does not get to the engine.
  func failedLast() {
    let last = pending.removeLast()
    if last != nil { onLost(1) }
    abandonPicture()
    node.work.drop(.deviceError, last?.name ?? .unknown)
  }

  /// The engine failed on the frame it was just given, and of those that were inside before none will come.
  /// - Parameter isGiven: the last one expected is the one that whoever calls records.
  func failedAll(_ failure: Failure, isGiven: Bool) {
    abandonPicture()
    onLost(pending.count)
    if isGiven, let last = pending.removeLast() { node.work.drop(.deviceError, last.name) }
    let now = Clock.now()
    while let entry = pending.removeFirst() {
      node.work.drop(.deviceError, entry.name)
      node.work.record(TaskOutcome(failure), wait: entry.wait, run: now - entry.start, end: now)
    }
  }

  /// What the parameter sets say from the next key picture on.
  func describe(_ description: StreamDescription) { front?.wanted = description }

  private func abandonPicture() {
    front?.begin()
    headCount = 0
    bytes = 0
    slices?.begin()
    ring.abandon()
  }

  /// The oldest frames got no picture.
  private func leftOut(_ count: Int) {
    answered(count, leftOut: true)
  }

  private func answered(_ count: Int, leftOut: Bool = false) {
    let now = recordsWork ? Clock.now() : 0
    for _ in 0..<count {
      guard let entry = pending.removeFirst() else { continue }
      if leftOut {
        node.work.drop(.rateControl, entry.name)
        onLost(1)
      }
      guard recordsWork else { continue }
      node.work.record(.done, wait: entry.wait, run: now - entry.start, end: now)
    }
  }

  /// No more pictures will come: frames without one were left out by the engine.
  func finishStream() {
    leftOut(pending.count)
  }

  func append(_ data: UnsafeRawBufferPointer) {
    guard let front else { return put(data) }
    front.append(data) { put($0) }
  }

  private func put(_ data: UnsafeRawBufferPointer) {
    if let base = data.baseAddress, headCount < PictureWriter.headSize {
      let count = min(data.count, PictureWriter.headSize - headCount)
      (head + headCount).copyMemory(from: base, byteCount: count)
      headCount += count
    }
    bytes += data.count
    slices?.add(data)
    ring.append(data)
  }

  func finishPicture(pts: Int64) {
    let info = parser.parse(UnsafeRawBufferPointer(start: head, count: headCount))
    var picture = CodedPicture()
    picture.type = info.type ?? .p
    picture.qp = info.qp
    picture.quality = info.quality
    let count = slices?.count ?? info.slices
    picture.slices = count > 0 ? count : nil
    picture.isKey = info.isKey
    picture.recoversAfter = info.recoversAfter
    picture.isVirtualKey = info.isVirtualKey
    picture.hasParameterSets = info.hasParameterSets
    if codec == .vp8, let syntax = parser.syntax {
      // "VP80"
      picture.framing = IVF(
        fourcc: 0x3038_5056, width: UInt16(clamping: syntax.width), height: UInt16(clamping: syntax.height))
    }
    guard isKept() else { return }
    let sets = parameterSets(info)
    front?.begin()
    headCount = 0
    bytes = 0
    slices?.begin()
    let frame = settle(pts)
    if shownSyntax != parser.syntax {
      shownSyntax = parser.syntax
      shown.store(parser.syntax)
    }
    guard let size = ring.finish(pts: pts, picture: picture, parameterSets: sets) else {
      node.work.drop(.noBuffer, frame, at: .output)
      return
    }
    let now = Clock.now()
    node.output.counters.countLeaving(at: now, pts: pts, bytes: size)
    node.work.produced(size)
    onPicture(picture, size, pts, now)
  }

  /// Whether the picture that is in the ring's hands gets into the stream.
  private func isKept() -> Bool {
    let fate = fate(bytes)
    switch fate {
    case .kept: return true
    case .again(let directive): again = directive
    case .discarded: node.work.drop(.rateControl, pending.removeLast()?.name ?? .unknown)
    }
    abandonPicture()
    onTakenBack(fate)
    return false
  }

  /// The parameter sets that came with an H.264 or H.265 picture: what stands before its first slice. They go before the first
  /// picture of a reader when that picture comes without.
  private func parameterSets(_ info: PictureInfo) -> UnsafeRawBufferPointer? {
    guard codec == .h264 || codec == .h265, info.hasParameterSets, headCount > 0 else { return nil }
    let bytes = UnsafeRawBufferPointer(start: head, count: headCount)
    let sets = ParameterSets.leading(bytes, codec)
    // Sets alone, or longer than what is looked at: all of it up to there is not one.
    return sets.isEmpty || sets.count == bytes.count ? nil : sets
  }

  /// The frame of this picture is answered for; older ones that were not are what the engine left out.
  private func settle(_ pts: Int64) -> DroppedFrame {
    guard let index = pending.older(than: pts) else { return DroppedFrame(pts: pts) }
    leftOut(index)
    let frame = pending.oldest?.name ?? .unknown
    answered(1)
    return frame
  }
}

/// The door through which an engine hands over its pictures.
struct RingSink: PacketSink, ~Copyable {
  let writer: PictureWriter
  mutating func append(_ bytes: UnsafeRawBufferPointer) { writer.append(bytes) }
  mutating func finishPicture(pts: Int64) { writer.finishPicture(pts: pts) }
}

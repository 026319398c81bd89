// SPDX-License-Identifier: Apache-2.0
import COpenH264
import Glibc
public import MediaCore
import Synchronization

/// H.264 decoding with Cisco's openh264 (BSD): what there is without FFmpeg. Constrained baseline, main and high, frames
/// only (no fields).
public struct OpenH264DecoderFactory: DecoderFactory {
  public init() {}
  public var name: String { "openh264" }
  public var codecs: [Codec] { [.h264] }
  public var isHardware: Bool { false }
  public var priority: Int { 20 }

  public func open(_ configuration: DecoderConfiguration) throws(Failure) -> any Decoder {
    guard configuration.codec == .h264 else {
      throw Failure(.notSupported, "open", on: name, "openh264 decodes h264, not \(configuration.codec.rawValue)")
    }
    return try OpenH264Decoder(configuration)
  }
}

/// Owner of one decoder of the library and of the memory it writes its messages to.
private struct OpenH264DecoderHandle: ~Copyable {
  let decoder: UnsafeMutablePointer<ISVCDecoder?>
  let log: UnsafeMutablePointer<mpifs_openh264_log>

  init() throws(Failure) {
    var made: UnsafeMutablePointer<ISVCDecoder?>?
    guard WelsCreateDecoder(&made) == 0, let made else {
      throw Failure(.noMemory, "WelsCreateDecoder", on: "openh264")
    }
    let log = UnsafeMutablePointer<mpifs_openh264_log>.allocate(capacity: 1)
    log.initialize(to: mpifs_openh264_log())
    let result = mpifs_openh264_open_decoder(made, log)
    guard result == 0 else {
      mpifs_openh264_destroy_decoder(made)
      log.deallocate()
      throw Failure(.invalidArgument, "Initialize", on: "openh264", "code \(result)")
    }
    decoder = made
    self.log = log
  }

  deinit {
    mpifs_openh264_destroy_decoder(decoder)
    log.deallocate()
  }
}

/// One H.264 decoding channel of openh264. The library keeps its pictures to itself, so each is copied once.
///
/// Owns the library's decoder and the pictures' pool. Serial use, as ``Decoder`` says.
final class OpenH264Decoder: Decoder, @unchecked Sendable {
  let engine: String
  var layout: FrameLayout? { shown.withLock { $0.layout } }
  var memoryKind: String { pictures.memoryKind }
  var pool: (any BufferPool)? { pictures.pool }
  var counters: DecoderCounters { shown.withLock { $0.counters } }

  private struct Shown {
    var layout: FrameLayout?
    var counters = DecoderCounters()
  }

  private typealias Planes = (
    UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?
  )

  private let handle: OpenH264DecoderHandle
  private let pictures: PicturePool
  private let shown = Mutex(Shown())
  private var sequence: UInt64 = 0
  private var parser = PictureParser(.h264)
  private var sets = ParameterSets(.h264)
  /// Units go to the library: one that decoding can begin at has come.
  private var hasBegun = false
  /// Number of the unit whose picture is the first that is whole; `nil` before.
  private var firstWhole: Int64?
  /// Numbers of units that were damaged, or refer to what is missing, and whose pictures have not come out.
  private var damaged: [Int64] = []
  /// Of the pictures that come out: what the stream's headers said when they went in.
  private var meaning = (color: ColorDescription.unspecified, aspect: SampleAspect.unknown)
  private var wasMadeUp = false
  /// Number of the last unit, where the library gave nothing then.
  private var unfinished: Int64?
  /// As many pictures as a decoder may hold back (H.264 A.3.1).
  private static let mostDelayed = 16
  /// What is shown before the picture it began at refers to what was before that.
  private var leavesOutLeading = false

  /// The library makes up what is missing once it has begun; before that it is given nothing.
  var entry: DecoderEntry { .anywhere }

  init(_ configuration: DecoderConfiguration) throws(Failure) {
    handle = try OpenH264DecoderHandle()
    pictures = PicturePool(configuration)
    var version = OpenH264Version()
    WelsGetCodecVersionEx(&version)
    engine = "openh264 \(version.uMajor).\(version.uMinor).\(version.uRevision)"
  }

  func submit<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure) {
    guard unit.count > 0 else { return }
    let picture = parser.parse(unit)
    if picture.bringsParameterSets { sets?.note(unit) }
    try refuseForeign()
    guard begins(with: picture, pts) else { return }
    // With a change of size the library would forget what it still holds back; before a key picture all of it may go.
    if picture.isKey { try giveHeldBack(into: &sink) }
    if let syntax = parser.syntax { meaning = (syntax.color, syntax.aspect) }
    let missing = hasBegun ? [] : sets?.missing(in: unit) ?? []
    hasBegun = true
    guard !missing.isEmpty else { return try decode(unit, pts: pts, into: &sink) }
    let failure = (missing + unit).withUnsafeBytes { bytes -> Failure? in
      do throws(Failure) {
        try decode(bytes, pts: pts, into: &sink)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  /// What the library would take for damage.
  private func refuseForeign() throws(Failure) {
    guard let syntax = parser.syntax else { return }
    var what = ""
    if syntax.chromaFormat > 1 || syntax.bitDepth != 8 || syntax.profile == 88 {
      what = syntax.profileTitle
    } else if !syntax.frameMacroblocksOnly {
      what = "interlaced \(syntax.profileTitle)"
    }
    guard !what.isEmpty else { return }
    throw Failure(.notSupported, "decode", on: "openh264", "not a coding this engine decodes: \(what)")
  }

  /// Whether a picture is given to the library.
  private func begins(with picture: PictureInfo, _ pts: Int64) -> Bool {
    if !hasBegun {
      guard picture.isRecoveryPoint, !picture.lacksParameterSets else { return false }
      leavesOutLeading = !picture.isKey
    }
    if picture.isKey { leavesOutLeading = false }
    if picture.isLeading, leavesOutLeading { return false }
    if firstWhole == nil, picture.isRecovered { firstWhole = pts }
    return true
  }

  private func decode<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure) {
    guard let bytes = unit.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    guard let count = CInt(exactly: unit.count) else { throw Failure(.argListTooLong, "decode", on: "openh264") }
    let first = try step(bytes, count, pts, into: &sink)
    let second = try step(nil, 0, pts, into: &sink)
    let (state, hasGiven) = (first.state | second.state, first.hasGiven || second.hasGiven)
    let errors = errors(in: state)
    wasMadeUp = state & 0x20 != 0
    unfinished = hasGiven ? nil : pts
    // What is shown later than it is decoded comes out late, damaged or not.
    guard errors == 0 || hasGiven || errors & ~0x66 == 0 && isReordered else {
      throw Failure(.illegalByteSequence, "decode", on: "openh264", OpenH264Decoder.reason(errors))
    }
  }

  /// What is wrong with the unit at hand, in what the library says.
  private func errors(in state: CInt) -> CInt {
    // 0x01: more is needed, which is no error. 0x20: something was made up; it stays so up to the next IDR picture, since what
    // comes refers to it. From the first on the channel knows as much, and of recovery points too.
    state & ~0x21 | (wasMadeUp ? 0 : state & 0x20)
  }

  /// One call of the library, and the picture it gives.
  private func step<Sink: FrameSink & ~Copyable>(
    _ bytes: UnsafePointer<UInt8>?, _ count: CInt, _ pts: Int64, into sink: inout Sink
  ) throws(Failure) -> (state: CInt, hasGiven: Bool) {
    var planes: Planes = (nil, nil, nil)
    var info = SBufferInfo()
    info.uiInBsTimeStamp = UInt64(bitPattern: pts)
    let state = withUnsafeMutablePointer(to: &planes) {
      $0.withMemoryRebound(to: UnsafeMutablePointer<UInt8>?.self, capacity: 3) {
        mpifs_openh264_decode(handle.decoder, bytes, count, $0, &info)
      }
    }
    // What is wrong may be so with the very picture it gives. That slices of a unit are missing the library finds when the next
    // begins.
    let errors = errors(in: state)
    let number = errors == 0x20 && bytes != nil ? unfinished ?? pts : pts
    if errors != 0, !damaged.contains(number) { damaged = damaged.suffix(OpenH264Decoder.mostDelayed - 1) + [number] }
    if info.iBufferStatus == 1 { try give(planes, info, into: &sink) }
    return (state, info.iBufferStatus == 1)
  }

  /// The library holds pictures back for those shown before them: with every profile that has such (H.264 A.2.1).
  private var isReordered: Bool { parser.syntax.map { $0.profile != 66 } ?? false }

  private static func reason(_ state: CInt) -> String {
    var parts: [String] = []
    for (bit, text) in [
      (0x02, "a reference picture is missing"), (0x04, "the bytes are damaged"), (0x08, "a layer is missing"),
      (0x10, "no parameter sets came"), (0x20, "errors were concealed"), (0x40, "reference list is incomplete"),
      (0x1000, "invalid argument"), (0x2000, "not initialised"), (0x4000, "out of memory"),
    ] where state & CInt(bit) != 0 { parts.append(text) }
    return parts.isEmpty ? "code \(state)" : parts.joined(separator: ", ")
  }

  private func give<Sink: FrameSink & ~Copyable>(
    _ planes: Planes, _ info: SBufferInfo, into sink: inout Sink
  ) throws(Failure) {
    let number = Int64(bitPattern: info.uiOutYuvTimeStamp)
    let isDamaged = damaged.contains(number)
    damaged.removeAll { $0 == number }
    guard let firstWhole, number >= firstWhole else { return }
    let memory = info.UsrData.sSystemBuffer
    // 4:2:0 receivers need even sizes: an odd last column or line is left off.
    guard let y = planes.0, let u = planes.1, let v = planes.2,
      var new = FrameLayout(.i420, width: Int(memory.iWidth) & ~1, height: Int(memory.iHeight) & ~1, alignment: 64)
    else { throw Failure(.illegalByteSequence, "decode", on: "openh264", "a picture without pixels") }
    (new.color, new.aspect) = meaning
    if try pictures.prepare(size: new.byteCount, references: 0) || layout != new { changed(to: new) }
    let frame = Frame(
      try pictures.take(), layout: new, pts: number, sequence: sequence, stamps: FrameStamps())
    sequence += 1
    let target = try frame.beginPixels(write: true)
    var copied = 0
    let (w, h) = (Int(new.width), Int(new.height))
    for (from, stride, to, width, height) in [
      (y, memory.iStride.0, target.plane0, w, h), (u, memory.iStride.1, target.plane1, w / 2, h / 2),
      (v, memory.iStride.1, target.plane2, w / 2, h / 2),
    ] {
      for line in 0..<height { memcpy(to.base + line * Int(to.stride), from + line * Int(stride), width) }
      copied += width * height
    }
    try frame.endPixels(write: true)
    shown.withLock {
      $0.counters.bytesCopied += UInt64(copied)
      if isDamaged { $0.counters.damaged += 1 }
    }
    sink.picture(frame)
  }

  private func changed(to new: FrameLayout) {
    shown.withLock { shown in
      if shown.layout != nil, shown.layout != new { shown.counters.layoutChanges += 1 }
      shown.layout = new
    }
  }

  func drain<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    try giveHeldBack(into: &sink)
    try flush()
  }

  private func giveHeldBack<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    for _ in 0..<32 {
      var planes: Planes = (nil, nil, nil)
      var info = SBufferInfo()
      withUnsafeMutablePointer(to: &planes) {
        $0.withMemoryRebound(to: UnsafeMutablePointer<UInt8>?.self, capacity: 3) {
          _ = mpifs_openh264_flush(handle.decoder, $0, &info)
        }
      }
      guard info.iBufferStatus == 1 else { break }
      try give(planes, info, into: &sink)
    }
  }

  /// The library has no call for this: it is initialised anew.
  func flush() throws(Failure) {
    let result = mpifs_openh264_open_decoder(handle.decoder, handle.log)
    guard result == 0 else { throw Failure(.ioError, "Initialize", on: "openh264", "code \(result)") }
    (wasMadeUp, unfinished) = (false, nil)
    (hasBegun, firstWhole, leavesOutLeading, damaged) = (false, nil, false, [])
    parser.restart()
  }

  func interrupt() { pictures.interrupt() }
}

// SPDX-License-Identifier: Apache-2.0

/// Cuts the bytes of an elementary stream into access units: all of one picture with the parameter sets before it.
///
/// However the bytes are cut when they come, the units are the same: a unit that is not whole is kept until the rest
/// came. H.264 and H.265 streams have start codes (ITU-T H.264 and H.265, annex B), motion JPEG is one file after the
/// other, FWHT is one frame with its header after the other, VP8 comes as IVF. Any bytes may come: what belongs to no unit is skipped and
/// counted. Allocates only until it has seen the largest unit.
///
/// A unit with start codes ends where the next begins, and so does a JPEG picture without an end marker: the last one comes with
/// `finish`.
public struct AccessUnitSplitter: ~Copyable {
  /// A unit that grows larger than this is none.
  public static let largestUnit = 16 << 20

  private enum Cutter: Sendable {
    case annexB(AnnexBCutter)
    case jpeg(JPEGCutter)
    case fwht
    case ivf(IVFCutter)
  }

  /// What a look at the bytes came to.
  enum Cut: Equatable {
    /// More bytes are needed.
    case more
    /// So many bytes at the front belong to no unit.
    case skip(Int)
    /// A unit of so many bytes stands at the front.
    case unit(Int)
    /// So many bytes at the front belong to the stream and to no unit.
    case pass(Int)
    /// A unit stands behind so many bytes that tell its size.
    case framed(header: Int, unit: Int)
  }

  private var bytes = CodedBytes(capacity: 64 << 10)
  private var cutter: Cutter
  /// Bytes that belonged to no unit.
  public private(set) var skipped: UInt64 = 0
  /// When the unit given last is shown, microseconds of the stream's own clock; `nil` where the stream has no times.
  public private(set) var time: Int64?
  /// The unit given last is cut off: the stream has ended within it.
  public private(set) var isCutOff = false
  /// Bytes of the unit given last, to be dropped at the next call.
  private var given = 0

  public init(_ codec: Codec) {
    switch codec {
    case .h264: cutter = .annexB(AnnexBCutter(isHEVC: false))
    case .h265: cutter = .annexB(AnnexBCutter(isHEVC: true))
    case .mjpeg: cutter = .jpeg(JPEGCutter())
    case .fwht: cutter = .fwht
    case .vp8: cutter = .ivf(IVFCutter())
    }
  }

  /// Pictures a second, where the stream says so outside of its pictures.
  public var frameRate: FrameRate? { if case .ivf(let cutter) = cutter { cutter.frameRate } else { nil } }

  /// Pictures a second that the first bytes of a stream state outside of its pictures.
  public static func frameRate(ofHeader bytes: UnsafeRawBufferPointer, _ codec: Codec) -> FrameRate? {
    guard codec == .vp8 else { return nil }
    var cutter = IVFCutter()
    _ = cutter.look(bytes)
    return cutter.frameRate
  }

  /// Takes the next bytes of the stream. Ends the validity of a unit that was given.
  public mutating func append(_ more: UnsafeRawBufferPointer) {
    settle()
    bytes.append(more)
  }

  /// The next whole unit, valid until the next call of anything; `nil` when more bytes are needed.
  public mutating func next() -> UnsafeRawBufferPointer? {
    settle()
    while true {
      switch look() {
      case .unit(let count):
        given = count
        return UnsafeRawBufferPointer(rebasing: bytes.all[..<count])
      case .framed(let header, let unit):
        given = header + unit
        if case .ivf(let ivf) = cutter { time = ivf.time(bytes.all) }
        return UnsafeRawBufferPointer(rebasing: bytes.all[header..<given])
      case .pass(let count): bytes.drop(count)
      case .skip(let count): skip(count)
      case .more:
        guard bytes.count > Self.largestUnit else { return nil }
        // What never ends is no unit: begin anew behind it.
        skip(bytes.count)
      }
    }
  }

  /// The end of the stream: the last unit, as far as it came. Call `next` until it gives nothing before this. The splitter then
  /// takes another stream.
  public mutating func finish() -> UnsafeRawBufferPointer? {
    settle()
    let count = bytes.count
    var header: Int?
    switch cutter {
    case .annexB(var last):
      if last.endsInUnit { header = 0 }
      last.restart()
      cutter = .annexB(last)
    case .jpeg(var last):
      if last.hasScan { header = 0 }
      last.restart()
      cutter = .jpeg(last)
    case .ivf(let last):
      header = last.rest(bytes.all)
      time = last.time(bytes.all)
      isCutOff = header != nil
      cutter = .ivf(IVFCutter())
    case .fwht:
      if count > FWHTHeader.byteCount { (header, isCutOff) = (0, true) }
    }
    guard let header, count > header else {
      skip(count)
      return nil
    }
    given = count
    return UnsafeRawBufferPointer(rebasing: bytes.all[header...])
  }

  private mutating func settle() {
    if given > 0 { bytes.drop(given) }
    given = 0
    (time, isCutOff) = (nil, false)
  }

  private mutating func skip(_ count: Int) {
    skipped &+= UInt64(count)
    bytes.drop(count)
    switch cutter {
    case .annexB(var cutter):
      cutter.restart()
      self.cutter = .annexB(cutter)
    case .jpeg(var cutter):
      cutter.restart()
      self.cutter = .jpeg(cutter)
    case .fwht, .ivf: break
    }
  }

  private mutating func look() -> Cut {
    switch cutter {
    case .annexB(var annexB):
      let cut = annexB.look(bytes.all)
      cutter = .annexB(annexB)
      return cut
    case .jpeg(var jpeg):
      let cut = jpeg.look(bytes.all)
      cutter = .jpeg(jpeg)
      return cut
    case .fwht: return FWHTHeader.cut(bytes.all)
    case .ivf(var ivf):
      let cut = ivf.look(bytes.all)
      cutter = .ivf(ivf)
      return cut
    }
  }
}

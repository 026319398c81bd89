// SPDX-License-Identifier: Apache-2.0

/// What stands before the first slice of an H.264 or H.265 picture, on its way from an engine into the ring: parameter sets are made
/// to say what the channel knows of its pictures, begin with a long start code, and stand before every key picture, also where the
/// engine gave them once.
///
/// Slices go through untouched and are not looked at beyond their first byte. Allocates when it is made, never for a picture. Used
/// by one thread at a time. An engine hands over whole units.
public final class PictureFront {
  /// Bytes of parameter sets that are kept.
  private static let room = 8192

  /// What the next key picture is to say. A stream's sets may change at no other place. With `nil` they say what the engine says.
  public var wanted: StreamDescription?
  private var inForce: StreamDescription?
  private let isHEVC: Bool
  private var rewriter: SequenceRewriter
  /// A start code, then the sets of the last picture that had any, as the engine gave them, each with its start code.
  private let kept: UnsafeMutableRawBufferPointer
  private var keptCount = 4
  /// Of the picture that is being written: its first slice has come; its sets are kept; a sequence parameter set has come.
  private var isPast = false
  private var keeps = false
  private var hasSequence = false

  public typealias Put = (UnsafeRawBufferPointer) -> Void

  /// - Returns: `nil` for codings without parameter sets.
  public init?(_ codec: Codec) {
    // Before anything is allocated: an initialiser that gives up on its way is not followed by `deinit`.
    guard let rewriter = SequenceRewriter(codec) else { return nil }
    self.rewriter = rewriter
    isHEVC = codec == .h265
    kept = UnsafeMutableRawBufferPointer.allocate(byteCount: PictureFront.room, alignment: 16)
    kept.storeBytes(of: UInt32(1).bigEndian, as: UInt32.self)
  }

  deinit { kept.deallocate() }

  /// Another picture begins.
  public func begin() { (isPast, keeps, hasSequence) = (false, false, false) }

  /// - Parameter put: takes the bytes of the stream, piece by piece.
  public func append(_ data: UnsafeRawBufferPointer, to put: Put) {
    guard !isPast, let first = AnnexBUnits.startCode(in: data, from: 0) else { return put(data) }
    let found = look(at: data, from: first)
    // Sets that come by themselves belong to a key picture.
    if found.hasSets || found.slice == .key, found.slice != .other { inForce = wanted }
    let lacksSets = found.slice == .key && !found.hasSequence && !hasSequence && keptCount > 4
    isPast = found.slice != nil
    hasSequence = hasSequence || found.hasSequence || lacksSets
    guard found.hasSets || lacksSets else { return put(data) }
    write(data, from: first, lacksSets: lacksSets, to: put)
  }

  private func write(_ data: UnsafeRawBufferPointer, from first: Int, lacksSets: Bool, to put: Put) {
    var lacksSets = lacksSets
    var code: Int? = first
    while let at = code, at + 3 < data.count {
      let kind = kind(of: data[at + 3])
      if lacksSets, kind != .delimiter {
        lacksSets = false
        let sets = UnsafeRawBufferPointer(rebasing: kept[4..<keptCount])
        for unit in AnnexBUnits(sets) { write(set: unit, to: put) }
      }
      if kind == .key || kind == .other {
        // With the whole of its start code, which has three or four bytes.
        let start = at > 0 && data[at - 1] == 0 ? at - 1 : at
        return put(UnsafeRawBufferPointer(rebasing: data[start...]))
      }
      code = AnnexBUnits.startCode(in: data, from: at + 3)
      var end = code ?? data.count
      while end > at + 3, data[end - 1] == 0 { end -= 1 }
      let unit = UnsafeRawBufferPointer(rebasing: data[(at + 3)..<end])
      switch kind {
      case .video, .sequence, .picture:
        keep(unit, kind)
        write(set: unit, to: put)
      default:
        put(UnsafeRawBufferPointer(rebasing: kept[..<4]))
        put(unit)
      }
    }
  }

  private func write(set unit: UnsafeRawBufferPointer, to put: Put) {
    put(UnsafeRawBufferPointer(rebasing: kept[..<4]))
    put((inForce ?? wanted).map { rewriter.rewrite(unit, saying: $0) } ?? unit)
  }

  /// A picture that brings a sequence's sets ends those before it.
  private func keep(_ unit: UnsafeRawBufferPointer, _ kind: Kind) {
    if !keeps, kind != .picture { (keeps, keptCount) = (true, 4) }
    guard keeps else { return }
    guard keptCount + 4 + unit.count <= kept.count else {
      // Half of them help nobody.
      (keeps, keptCount) = (false, 4)
      return
    }
    let code = UnsafeRawBufferPointer(rebasing: kept[..<4])
    UnsafeMutableRawBufferPointer(rebasing: kept[keptCount...]).copyMemory(from: code)
    UnsafeMutableRawBufferPointer(rebasing: kept[(keptCount + 4)...]).copyMemory(from: unit)
    keptCount += 4 + unit.count
  }

  private enum Kind {
    /// The slice of a picture decoding can begin at, or of another one.
    case key, other
    case video, sequence, picture
    case delimiter, message
  }

  private func kind(of header: UInt8) -> Kind {
    if isHEVC {
      switch header >> 1 & 63 {
      case 16...21: return .key
      case 0...31: return .other
      case 32: return .video
      case 33: return .sequence
      case 34: return .picture
      case 35: return .delimiter
      default: return .message
      }
    }
    switch header & 31 {
    case 5: return .key
    case 1...4: return .other
    case 7: return .sequence
    case 8: return .picture
    case 9: return .delimiter
    default: return .message
    }
  }

  /// What is in the bytes up to the first slice, and what that is.
  private func look(
    at data: UnsafeRawBufferPointer, from first: Int
  ) -> (slice: Kind?, hasSets: Bool, hasSequence: Bool) {
    var found: (slice: Kind?, hasSets: Bool, hasSequence: Bool) = (nil, false, false)
    var code: Int? = first
    while let at = code, at + 3 < data.count {
      switch kind(of: data[at + 3]) {
      case .key: found.slice = .key
      case .other: found.slice = .other
      case .sequence: (found.hasSets, found.hasSequence) = (true, true)
      case .video, .picture: found.hasSets = true
      case .delimiter, .message: break
      }
      if found.slice != nil { return found }
      code = AnnexBUnits.startCode(in: data, from: at + 3)
    }
    return found
  }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Makes parameter sets say what a ``StreamDescription`` says; every other bit of them stays.
///
/// Sets come again with every key picture: what was made of the last one is kept, and only compared the next time. Allocates when
/// it is made, never for a unit.
public struct SequenceRewriter: ~Copyable {
  /// Longest set that is looked at, bytes. Real ones have some dozens; with scaling lists a thousand.
  static let longest = 4096
  /// What a rewritten one may have more: a whole usability information, with a byte put in after every two.
  private static let room = 128

  private let isHEVC: Bool
  /// The set that was rewritten last, and what became of it.
  private let original: UnsafeMutableRawBufferPointer
  private let rewritten: UnsafeMutableRawBufferPointer
  /// A rewritten video parameter set of H.265.
  private let video: UnsafeMutableRawBufferPointer
  private var originalCount = 0
  private var rewrittenCount = 0
  private var description: StreamDescription?

  /// - Returns: `nil` for codings without such sets.
  public init?(_ codec: Codec) {
    guard codec == .h264 || codec == .h265 else { return nil }
    isHEVC = codec == .h265
    video = .allocate(byteCount: isHEVC ? SequenceRewriter.longest : 0, alignment: 16)
    original = .allocate(byteCount: SequenceRewriter.longest, alignment: 16)
    rewritten = .allocate(byteCount: SequenceRewriter.longest * 3 / 2 + SequenceRewriter.room, alignment: 16)
  }

  deinit {
    video.deallocate()
    original.deallocate()
    rewritten.deallocate()
  }

  /// What is to stand in the stream in place of this unit: itself where it is no set that says anything of this, or cannot be read.
  /// - Parameter unit: header first, without start code.
  /// - Returns: valid until the next call, or as long as `unit`.
  public mutating func rewrite(
    _ unit: UnsafeRawBufferPointer, saying wanted: StreamDescription
  ) -> UnsafeRawBufferPointer {
    guard unit.count > (isHEVC ? 3 : 2), unit.count <= SequenceRewriter.longest, unit[0] & 0x80 == 0 else {
      return unit
    }
    let type = isHEVC ? unit[0] >> 1 & 63 : unit[0] & 31
    if isHEVC, type == 32 {
      return SequenceRewriter.rewriteVideo(unit, rate: wanted.frameRate, into: video) ?? unit
    }
    guard type == (isHEVC ? 33 : 7) else { return unit }
    if description == wanted, originalCount == unit.count, let known = original.baseAddress, let new = unit.baseAddress,
      memcmp(known, new, originalCount) == 0
    {
      return UnsafeRawBufferPointer(rebasing: rewritten[..<rewrittenCount])
    }
    description = nil
    guard
      let made = isHEVC
        ? SequenceRewriter.rewriteHEVC(unit, wanted, into: rewritten)
        : SequenceRewriter.rewriteH264(unit, wanted, into: rewritten)
    else { return unit }
    UnsafeMutableRawBufferPointer(rebasing: original[..<unit.count]).copyMemory(from: unit)
    (originalCount, rewrittenCount, description) = (unit.count, made.count, wanted)
    return made
  }

  private static func rewriteH264(
    _ unit: UnsafeRawBufferPointer, _ wanted: StreamDescription, into memory: UnsafeMutableRawBufferPointer
  ) -> UnsafeRawBufferPointer? {
    let payload = UnsafeRawBufferPointer(rebasing: unit[1...])
    var r = BitReader(payload)
    guard H264Sequence.readFront(&r) != nil else { return nil }
    let front = r.consumed
    let hasOld = r.bit()
    var usability = hasOld ? VideoUsability.read(&r, isHEVC: false) : VideoUsability(isHEVC: false)
    guard !r.failed else { return nil }
    usability.take(wanted)
    var w = BitWriter(memory)
    w.header(UnsafeRawBufferPointer(rebasing: unit[..<1]))
    var copied = BitReader(payload)
    w.copy(front, from: &copied)
    w.bit(true)
    usability.write(to: &w)
    // Two models of the buffer, the structure of pictures, restrictions of the bitstream.
    if hasOld { w.copyRest(of: &r) } else { w.bits(0, 4) }
    return finish(&w, r, memory)
  }

  private static func rewriteHEVC(
    _ unit: UnsafeRawBufferPointer, _ wanted: StreamDescription, into memory: UnsafeMutableRawBufferPointer
  ) -> UnsafeRawBufferPointer? {
    let payload = UnsafeRawBufferPointer(rebasing: unit[2...])
    var r = BitReader(payload)
    guard HEVCSequence.readFront(&r) != nil else { return nil }
    let front = r.consumed
    let hasOld = r.bit()
    var usability = hasOld ? VideoUsability.read(&r, isHEVC: true) : VideoUsability(isHEVC: true)
    guard !r.failed else { return nil }
    usability.take(wanted)
    var w = BitWriter(memory)
    w.header(UnsafeRawBufferPointer(rebasing: unit[..<2]))
    var copied = BitReader(payload)
    w.copy(front, from: &copied)
    w.bit(true)
    usability.write(to: &w)
    // Where it is new: a model of the buffer, restrictions of the bitstream. Extensions of the set follow in any case.
    if !hasOld { w.bits(0, 2) }
    w.copyRest(of: &r)
    return finish(&w, r, memory)
  }

  /// A video parameter set need not have a rate. Where it has one, decoders believe it and not the sequence parameter set's.
  private static func rewriteVideo(
    _ unit: UnsafeRawBufferPointer, rate: FrameRate, into memory: UnsafeMutableRawBufferPointer
  ) -> UnsafeRawBufferPointer? {
    let payload = UnsafeRawBufferPointer(rebasing: unit[2...])
    var r = BitReader(payload)
    guard HEVCSequence.readVideoFront(&r) != nil, r.bit() else { return nil }
    let front = r.consumed
    let (tick, scale) = (Int(r.bits(32)), Int(r.bits(32)))
    guard !r.failed, FrameRate(scale, tick) != rate else { return nil }
    var w = BitWriter(memory)
    w.header(UnsafeRawBufferPointer(rebasing: unit[..<2]))
    var copied = BitReader(payload)
    w.copy(front, from: &copied)
    w.bits(UInt32(truncatingIfNeeded: rate.denominator), 32)
    w.bits(UInt32(truncatingIfNeeded: rate.numerator), 32)
    w.copyRest(of: &r)
    return finish(&w, r, memory)
  }

  private static func finish(
    _ w: inout BitWriter, _ r: BitReader, _ memory: UnsafeMutableRawBufferPointer
  ) -> UnsafeRawBufferPointer? {
    w.end()
    guard !w.failed, !r.failed else { return nil }
    return UnsafeRawBufferPointer(rebasing: memory[..<w.count])
  }
}

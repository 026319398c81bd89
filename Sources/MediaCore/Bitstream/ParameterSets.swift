// SPDX-License-Identifier: Apache-2.0

/// The parameter sets of an H.264 or H.265 stream, by kind and number, as they came last.
///
/// They may come once, long before the picture a decoder starts with, or in front of one that is left out (RTP's session
/// description gives them outside the stream altogether): whoever begins in the middle needs them first. Allocates when a set is
/// new or has changed.
public struct ParameterSets: Sendable {
  private enum Kind: Int, Sendable { case video, sequence, picture }

  private struct Entry: Sendable {
    var kind: Kind
    var id: Int
    /// Number of the sequence set a picture set refers to.
    var sequence: Int
    /// The unit, header first, without start code.
    var bytes: [UInt8]
  }

  private let isHEVC: Bool
  private var entries: [Entry] = []

  /// - Returns: `nil` for codings without parameter sets.
  public init?(_ codec: Codec) {
    guard codec == .h264 || codec == .h265 else { return nil }
    isHEVC = codec == .h265
  }

  public var isEmpty: Bool { entries.isEmpty }

  /// Keeps the sets of a unit. A sequence set that has changed ends the picture sets that referred to the old one.
  public mutating func note(_ unit: UnsafeRawBufferPointer) {
    for bytes in AnnexBUnits(unit) {
      guard let (kind, id, sequence) = read(bytes) else { continue }
      if let at = entries.firstIndex(where: { $0.kind == kind && $0.id == id }) {
        guard !entries[at].bytes.elementsEqual(bytes) else { continue }
        entries[at] = Entry(kind: kind, id: id, sequence: sequence, bytes: Array(bytes))
        if kind == .sequence { entries.removeAll { $0.kind == .picture && $0.sequence == id } }
      } else {
        entries.append(Entry(kind: kind, id: id, sequence: sequence, bytes: Array(bytes)))
      }
    }
  }

  /// The sets that a decoder which begins with this unit needs, and that are not in it, with start codes; empty where there are
  /// none. What the unit brings must have been noted.
  public func missing(in unit: UnsafeRawBufferPointer) -> [UInt8] {
    var own: [(Kind, Int)] = []
    var first: UnsafeRawBufferPointer?
    for bytes in AnnexBUnits(unit) {
      if let (kind, id, _) = read(bytes) { own.append((kind, id)) }
      if first == nil, isSlice(bytes) { first = bytes }
    }
    // Of a stream before this one there may be others.
    let sequence = first.flatMap { pictureSet(of: $0) }.flatMap { number in
      entries.first { $0.kind == .picture && $0.id == number }?.sequence
    }
    var result: [UInt8] = []
    for kind in [Kind.video, .sequence, .picture] {
      for entry in entries where entry.kind == kind && !own.contains(where: { $0 == (kind, entry.id) }) {
        if kind != .video, let sequence, entry.sequence != sequence { continue }
        result += [0, 0, 0, 1] + entry.bytes
      }
    }
    return result
  }

  /// What stands before the first slice of a unit, start codes included: its parameter sets and what goes with them. Empty where
  /// it begins with a slice, and for codings without parameter sets.
  public static func leading(_ unit: UnsafeRawBufferPointer, _ codec: Codec) -> UnsafeRawBufferPointer {
    guard let sets = ParameterSets(codec), let base = unit.baseAddress else { return unit.prefix(0).rebased }
    for bytes in AnnexBUnits(unit) where sets.isSlice(bytes) {
      guard let first = bytes.baseAddress else { continue }
      // Back over the start code, which has three or four bytes.
      var end = first - base - 3
      if end > 0, unit[end - 1] == 0 { end -= 1 }
      return unit.prefix(max(0, end)).rebased
    }
    return unit
  }

  private func isSlice(_ unit: UnsafeRawBufferPointer) -> Bool {
    guard let header = unit.first else { return false }
    // H.265 numbers its slices 0 to 31.
    if isHEVC { return header >> 1 & 63 < 32 }
    let kind = header & 31
    return kind == 1 || kind == 2 || kind == 5
  }

  /// Number of the picture parameter set a slice refers to.
  private func pictureSet(of unit: UnsafeRawBufferPointer) -> Int? {
    guard unit.count > 2 else { return nil }
    var r = BitReader(UnsafeRawBufferPointer(rebasing: unit[(isHEVC ? 2 : 1)...]))
    if isHEVC {
      guard r.bit() else { return nil }
      if (16...23).contains(unit[0] >> 1 & 63) { r.skip(1) }
    } else {
      _ = r.ue()
      _ = r.ue()
    }
    let number = r.ue()
    return r.failed ? nil : Int(number)
  }

  private func read(_ unit: UnsafeRawBufferPointer) -> (Kind, id: Int, sequence: Int)? {
    guard unit.count > 3, unit[0] & 0x80 == 0 else { return nil }
    let kind: Kind
    switch isHEVC ? unit[0] >> 1 & 63 : unit[0] & 31 {
    case 32 where isHEVC: kind = .video
    case 33 where isHEVC, 7 where !isHEVC: kind = .sequence
    case 34 where isHEVC, 8 where !isHEVC: kind = .picture
    default: return nil
    }
    var r = BitReader(UnsafeRawBufferPointer(rebasing: unit[(isHEVC ? 2 : 1)...]))
    var id: UInt32
    var sequence: UInt32 = 0
    switch kind {
    case .video: id = r.bits(4)
    case .sequence:
      if isHEVC {
        r.skip(4)
        let subLayers = Int(r.bits(3))
        guard subLayers <= 6 else { return nil }
        r.skip(1)
        _ = HEVCSequence.readProfile(&r, subLayers: subLayers)
      } else {
        r.skip(24)
      }
      id = r.ue()
      sequence = id
    case .picture:
      id = r.ue()
      sequence = r.ue()
    }
    // As many as either standard has: what is damaged must not be kept without end.
    return r.failed || id > 255 || sequence > 31 ? nil : (kind, Int(id), Int(sequence))
  }
}

extension Slice<UnsafeRawBufferPointer> {
  fileprivate var rebased: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self) }
}

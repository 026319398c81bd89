// SPDX-License-Identifier: Apache-2.0

/// Follows H.264 pictures from one to the next: what their numbers say of pictures that never came (ITU-T H.264, 7.4.3), where
/// decoding can begin (D.2.8), and which are shown before that (8.2.1.1).
struct H264Continuity: Sendable {
  /// `PrevRefFrameNum`
  private var lastReference: Int?
  /// Number of the picture at the last recovery point, and after how many more those who began there have whole ones.
  private var recovery: (from: Int, count: Int)?
  /// Of the last reference picture: its order of showing, in the two parts it is made of.
  private var order = (high: 0, low: 0)
  /// Order of the last intra picture that others may be shown before.
  private var intraOrder: Int?

  init() {}

  /// - Parameter recovery: what a message in front of the picture says, as ``recoveryPoint(_:)`` gives it.
  mutating func follow(
    _ slice: H264Reader.Slice, _ sequence: H264Sequence, recovery: Int?, _ info: inout PictureInfo
  ) {
    let most = 1 << sequence.log2MaxFrameNumber
    countMissing(slice, most, sequence.gapsAllowed, &info)
    let shown = sequence.pictureOrderType == 0 ? place(slice, 1 << sequence.log2MaxPictureOrder) : nil
    if slice.isIDR {
      (intraOrder, self.recovery) = (nil, nil)
      return
    }
    info.recoversAfter = recovery
    if let recovery, recovery > 0 {
      info.isRecoveryPoint = true
      self.recovery = (slice.number, recovery)
      intraOrder = nil
      return
    }
    if recovery == 0 || info.type == .i {
      (info.isRecoveryPoint, info.isRecovered) = (true, true)
      (self.recovery, intraOrder) = (nil, shown)
      return
    }
    if let (from, count) = self.recovery, slice.isReference, Self.steps(from, slice.number, most) >= count {
      info.isRecovered = true
      self.recovery = nil
    }
    if let shown, let intraOrder { info.isLeading = shown < intraOrder }
  }

  private mutating func countMissing(
    _ slice: H264Reader.Slice, _ most: Int, _ gapsAllowed: Bool, _ info: inout PictureInfo
  ) {
    if !slice.isIDR, let last = lastReference, slice.number != last, slice.number != (last + 1) % most {
      if !gapsAllowed { info.missing = Self.steps(last + 1, slice.number, most) }
      lastReference = (slice.number - 1 + most) % most
    }
    // The second field of a picture has the number of the first.
    if slice.isReference { lastReference = slice.forgetsAll ? 0 : slice.number }
    if lastReference == nil { lastReference = (slice.number - 1 + most) % most }
  }

  /// How many numbers later, of those that begin again after `most`. The one before may be of a stream with more of them: a set was damaged, or
  /// changed without a key picture.
  private static func steps(_ from: Int, _ to: Int, _ most: Int) -> Int { ((to - from) % most + most) % most }

  /// `PicOrderCnt`, where it is coded in the picture.
  private mutating func place(_ slice: H264Reader.Slice, _ most: Int) -> Int {
    if slice.isIDR { order = (0, 0) }
    var high = order.high
    if slice.order < order.low, order.low - slice.order >= most / 2 { high += most }
    if slice.order > order.low, slice.order - order.low > most / 2 { high -= most }
    if slice.isReference { order = slice.forgetsAll ? (0, 0) : (high, slice.order) }
    return high + slice.order
  }

  /// `recovery_frame_cnt` of a unit of messages: pictures until what is shown is whole. `nil` where it has no such message.
  static func recoveryPoint(_ payload: UnsafeRawBufferPointer) -> Int? {
    var r = BitReader(payload)
    guard SupplementalMessage.find(6, &r) else { return nil }
    let count = r.ue()
    return r.failed || count >= 1 << 16 ? nil : Int(count)
  }
}

/// Supplemental enhancement information (ITU-T H.264 7.3.2.3.1, H.265 7.3.5): messages of a type and a length each.
enum SupplementalMessage {
  /// Goes to the body of the first message of this type.
  static func find(_ wanted: Int, _ r: inout BitReader) -> Bool {
    while !r.failed, r.hasMoreData() {
      let (type, size) = (number(&r), number(&r))
      if type == wanted { return !r.failed }
      r.skip(size * 8)
    }
    return false
  }

  private static func number(_ r: inout BitReader) -> Int {
    var sum = 0
    while !r.failed {
      let byte = Int(r.bits(8))
      sum += byte
      if byte != 255 { break }
    }
    return sum
  }
}

// SPDX-License-Identifier: Apache-2.0

/// A short-term reference picture set (ITU-T H.265, 7.3.7 and 7.4.8): which earlier pictures are kept for this one and those
/// after it, as distances in the order of showing, first the ones shown before it, nearest first.
struct HEVCReferenceSet: Sendable, Equatable {
  private(set) var distances = SIMD16<Int32>()
  /// One bit each: this picture itself may refer to it.
  private(set) var used: UInt16 = 0
  private(set) var earlier = 0
  private(set) var count = 0

  private mutating func add(_ distance: Int32, isUsed: Bool) {
    guard count < 16 else { return }
    distances[count] = distance
    if isUsed { used |= 1 << UInt16(count) }
    count += 1
  }

  /// Pictures this one itself may refer to.
  var usedCount: Int { used.nonzeroBitCount }

  func isUsed(_ index: Int) -> Bool { used >> UInt16(index) & 1 == 1 }

  /// - Parameter known: the sets of the sequence before this one; a slice's own follows them all.
  static func read(_ r: inout BitReader, inSlice: Bool, after known: [HEVCReferenceSet]) -> HEVCReferenceSet? {
    guard !known.isEmpty, r.bit() else { return readWhole(&r) }
    let back = inSlice ? Int(r.ue()) + 1 : 1
    guard back <= known.count else { return nil }
    let (isBack, size) = (r.bit(), r.ue())
    guard size < 1 << 15 else { return nil }
    let shift = (isBack ? -1 : 1) * (Int32(size) + 1)
    let from = known[known.count - back]
    var (kept, used): (UInt32, UInt32) = (0, 0)
    for index in 0...from.count {
      let isUsed = r.bit()
      if isUsed { used |= 1 << UInt32(index) }
      if isUsed || r.bit() { kept |= 1 << UInt32(index) }
    }
    guard !r.failed else { return nil }
    var set = HEVCReferenceSet()
    func take(_ index: Int, _ wantsEarlier: Bool) {
      let distance = (index < from.count ? from.distances[index] : 0) + shift
      guard kept >> UInt32(index) & 1 == 1, wantsEarlier ? distance < 0 : distance > 0 else { return }
      set.add(distance, isUsed: used >> UInt32(index) & 1 == 1)
    }
    // Nearest first: the ones that were on the other side, the picture the set is predicted from, those of this side.
    for index in (from.earlier..<from.count).reversed() { take(index, true) }
    take(from.count, true)
    for index in 0..<from.earlier { take(index, true) }
    set.earlier = set.count
    for index in (0..<from.earlier).reversed() { take(index, false) }
    take(from.count, false)
    for index in from.earlier..<from.count { take(index, false) }
    return set
  }

  private static func readWhole(_ r: inout BitReader) -> HEVCReferenceSet? {
    let (before, after) = (r.ue(), r.ue())
    guard before <= 16, after <= 16, before + after <= 16, !r.failed else { return nil }
    var set = HEVCReferenceSet()
    for (number, sign) in [(before, -1), (after, 1)] as [(UInt32, Int32)] {
      var distance: Int32 = 0
      for _ in 0..<number {
        let step = r.ue()
        guard step < 1 << 15 else { return nil }
        distance += sign * (Int32(step) + 1)
        let isUsed = r.bit()
        set.add(distance, isUsed: isUsed)
      }
      if sign < 0 { set.earlier = set.count }
    }
    return r.failed ? nil : set
  }
}

/// Follows H.265 pictures from one to the next: their order of showing (8.3.1), which of those they refer to never came (8.3.2),
/// and where decoding can begin (D.3.8).
struct HEVCContinuity: Sendable {
  /// Of the last picture of the lowest layer that others may refer to.
  private var anchor = 0
  private var known = SIMD16<Int32>()
  private var knownCount = 0
  /// A picture was seen that decoding can begin at: before it, what is referred to is not known.
  private var hasBegun = false
  private var recoversAt: Int?

  init() {}

  struct Picture {
    var type: UInt8 = 0
    var temporal = 0
    /// `slice_pic_order_cnt_lsb`
    var order = 0
    var log2MaxOrder = 8
    /// `nil` where it could not be read.
    var references: HEVCReferenceSet?
    /// `recovery_poc_cnt`
    var recovery: Int?

    var isIRAP: Bool { (16...23).contains(type) }
    /// IDR or BLA: nothing before it is referred to any more.
    var forgetsAll: Bool { (16...20).contains(type) }
    /// RASL: shown before the random access picture, and refers to what was before it.
    var isLeading: Bool { type == 8 || type == 9 }
  }

  mutating func follow(_ picture: Picture, _ info: inout PictureInfo) {
    let order = place(picture)
    if picture.forgetsAll || (picture.isIRAP && !hasBegun) { knownCount = 0 }
    if picture.isIRAP { (hasBegun, recoversAt) = (true, nil) }
    info.isLeading = picture.isLeading
    if let references = picture.references { refer(references, order, picture, &info) }
    add(order)
    if let recovery = picture.recovery, !picture.isIRAP {
      info.isRecoveryPoint = true
      info.recoversAfter = max(0, recovery)
      recoversAt = order + recovery
    }
    if let target = recoversAt, order >= target {
      info.isRecovered = true
      recoversAt = nil
    }
    if info.type == .i, !picture.isIRAP, picture.recovery == nil {
      (info.isRecoveryPoint, info.isRecovered) = (true, true)
    }
  }

  private mutating func place(_ picture: Picture) -> Int {
    let most = 1 << picture.log2MaxOrder
    var order = picture.order
    if !picture.forgetsAll {
      let low = anchor & (most - 1)
      var high = anchor - low
      if order < low, low - order >= most / 2 { high += most }
      if order > low, order - low > most / 2 { high -= most }
      order += high
    }
    // Neither leading pictures nor those nobody of their layer refers to.
    let isPlain = picture.type > 9 || (picture.type < 6 && picture.type % 2 == 1)
    if picture.temporal == 0, isPlain { anchor = order }
    return order
  }

  /// Counts what is referred to and has not come, once, and forgets what is not kept.
  private mutating func refer(
    _ set: HEVCReferenceSet, _ order: Int, _ picture: Picture, _ info: inout PictureInfo
  ) {
    var kept = SIMD16<Int32>()
    var keptCount = 0
    for index in 0..<set.count {
      let wanted = Int32(truncatingIfNeeded: order) &+ set.distances[index]
      let hasCome = (0..<knownCount).contains { known[$0] == wanted }
      if !hasCome, hasBegun, set.isUsed(index), !picture.isLeading, !picture.isIRAP { info.missing += 1 }
      guard keptCount < 15, hasCome || set.isUsed(index) else { continue }
      kept[keptCount] = wanted
      keptCount += 1
    }
    (known, knownCount) = (kept, keptCount)
  }

  private mutating func add(_ order: Int) {
    guard knownCount < 16 else { return }
    known[knownCount] = Int32(truncatingIfNeeded: order)
    knownCount += 1
  }

  /// `recovery_poc_cnt` of a unit of messages.
  static func recoveryPoint(_ payload: UnsafeRawBufferPointer) -> Int? {
    var r = BitReader(payload)
    guard SupplementalMessage.find(6, &r) else { return nil }
    let count = Int(r.se())
    return r.failed || abs(count) >= 1 << 16 ? nil : count
  }
}

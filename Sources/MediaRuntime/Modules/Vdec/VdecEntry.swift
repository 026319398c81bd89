// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// Whether what comes can be decoded whole: where a stream was joined, what was lost since, and where it is whole again.
struct VdecEntry {
  /// What comes refers to nothing that is lost or damaged.
  private(set) var isWhole = false
  /// It was whole before.
  private(set) var hasBegun = false
  /// A recovery point has come; the pictures up to where it recovers are not whole yet.
  private(set) var isRecovering = false
  /// What is shown before the last intra picture refers to what was lost.
  private var isLeadingHurt = true

  // What was seen, for the reason why nothing comes.
  private(set) var pictures = 0
  private(set) var withoutSets = 0
  private(set) var recoveryPoints = 0
  private(set) var keys = 0

  /// Takes in one picture, in the order of decoding.
  /// - Returns: whether it refers to what is lost or damaged.
  mutating func hurts(_ picture: PictureInfo) -> Bool {
    pictures += 1
    if picture.lacksParameterSets { withoutSets += 1 }
    if picture.isKey { keys += 1 }
    if picture.missing > 0 { hurt() }
    if picture.isRecoveryPoint {
      recoveryPoints += 1
      if !isWhole { isRecovering = true }
      isLeadingHurt = !isWhole
    }
    if picture.isRecovered, isRecovering { (isWhole, hasBegun, isRecovering) = (true, true, false) }
    return !isWhole || (picture.isLeading && isLeadingHurt)
  }

  /// A picture that others refer to was damaged or lost.
  mutating func hurt() { (isWhole, isRecovering) = (false, false) }

  /// Why nothing could be shown, where that can be told.
  func reason(_ codec: Codec) -> String? {
    guard pictures > 0 else { return nil }
    if withoutSets == pictures {
      let names = codec == .h265 ? "VPS, SPS and PPS" : "SPS and PPS"
      return "no parameter sets (\(names)) came before its \(pictures) pictures; who joins a stream needs them first"
    }
    if recoveryPoints == 0 { return "no key picture and no recovery point among its \(pictures) pictures" }
    return keys == 0 ? "no key picture among its \(pictures) pictures, and no whole one after a recovery point" : nil
  }
}

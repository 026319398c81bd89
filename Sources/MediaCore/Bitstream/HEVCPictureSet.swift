// SPDX-License-Identifier: Apache-2.0

/// The parts of a picture parameter set that reading slice headers and reports need (ITU-T H.265, 7.3.2.3).
struct HEVCPictureSet: Sendable {
  var isPresent = false
  var sequence = 0
  var hasDependentSlices = false
  var tellsOutput = false
  var extraSliceBits = 0
  var tellsCABACStart = false
  /// `num_ref_idx_l0_default_active_minus1` and of list 1, plus one.
  var references = (1, 1)
  var initialQP = 26
  var constrainedIntra = false
  var cbQPOffset = 0
  var crQPOffset = 0
  var slicesTellChromaOffsets = false
  var weighted = (p: false, b: false)
  var deblockingControl = false
  var slicesMayOverrideDeblocking = false
  var deblocking = HEVCDeblocking()
  var scalingMatrix = false
  var changesLists = false
  /// It goes on with what slices may then have between the quantiser and the deblocking (7.3.2.3.2).
  var hasExtension = false

  /// - Parameter payload: without the two bytes of the unit's header.
  /// - Returns: the set and its number, or `nil` for bytes that are none.
  static func read(_ payload: UnsafeRawBufferPointer) -> (id: Int, set: HEVCPictureSet)? {
    var r = BitReader(payload)
    var p = HEVCPictureSet()
    let (id, sequence) = (r.ue(), r.ue())
    guard id < 64, sequence < 16 else { return nil }
    p.sequence = Int(sequence)
    p.hasDependentSlices = r.bit()
    p.tellsOutput = r.bit()
    p.extraSliceBits = Int(r.bits(3))
    r.skip(1)
    p.tellsCABACStart = r.bit()
    let references = (r.ue(), r.ue())
    guard references.0 < 15, references.1 < 15 else { return nil }
    p.references = (Int(references.0) + 1, Int(references.1) + 1)
    p.initialQP = 26 + Int(r.se())
    p.constrainedIntra = r.bit()
    r.skip(1)
    if r.bit() { _ = r.ue() }
    (p.cbQPOffset, p.crQPOffset) = (Int(r.se()), Int(r.se()))
    p.slicesTellChromaOffsets = r.bit()
    p.weighted = (r.bit(), r.bit())
    r.skip(1)
    let hasTiles = r.bit()
    r.skip(1)
    if hasTiles { skipTiles(&r) }
    r.skip(1)
    p.deblockingControl = r.bit()
    if p.deblockingControl {
      p.slicesMayOverrideDeblocking = r.bit()
      p.deblocking = HEVCDeblocking.read(&r)
    }
    p.scalingMatrix = r.bit()
    if p.scalingMatrix { HEVCSequence.skipScalingLists(&r) }
    p.changesLists = r.bit()
    _ = r.ue()
    r.skip(1)
    p.hasExtension = r.bit()
    guard !r.failed else { return nil }
    p.isPresent = true
    return (Int(id), p)
  }

  private static func skipTiles(_ r: inout BitReader) {
    let (columns, rows) = (r.ue(), r.ue())
    if !r.bit() {
      // Level 6.2 has 20 by 22 at most.
      for _ in 0..<min(64, columns) + min(64, rows) where !r.failed { _ = r.ue() }
    }
    r.skip(1)
  }
}

/// How edges of blocks are smoothed, as a picture parameter set or a slice says it.
struct HEVCDeblocking: Sendable, Equatable {
  var isDisabled = false
  /// `beta_offset_div2`, `tc_offset_div2`
  var beta = 0
  var tc = 0

  static func read(_ r: inout BitReader) -> HEVCDeblocking {
    var found = HEVCDeblocking()
    found.isDisabled = r.bit()
    if !found.isDisabled { (found.beta, found.tc) = (Int(r.se()), Int(r.se())) }
    return found
  }
}

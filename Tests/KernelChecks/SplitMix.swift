// SPDX-License-Identifier: Apache-2.0

/// Numbers that look random and are the same at every run: SplitMix64.
package struct SplitMix {
  package var state: UInt64
  package init(state: UInt64) { self.state = state }
  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  /// 1 to `most`.
  package mutating func any(_ most: Int) -> Int { 1 + Int(next() % UInt64(most)) }
  package mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }
}

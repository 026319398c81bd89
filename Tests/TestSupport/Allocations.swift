// SPDX-License-Identifier: Apache-2.0

/// Heap calls that so many rounds of something take: the quietest of three stretches, since the Swift runtime fills its own
/// caches now and then. What happens in every round is in all three.
/// - Parameters:
///   - count: heap calls of this thread so far, which is CAllocationCount's `allocation_count`.
///   - rounds: of each stretch.
public func fewestAllocations(
  by count: () -> UInt64, in rounds: Int, _ round: () throws -> Void
) rethrows -> UInt64 {
  var fewest = UInt64.max
  // Counted in Int: in an unoptimised build a range of another integer takes memory at every step.
  for _ in 0..<3 {
    let before = count()
    for _ in 0..<rounds { try round() }
    fewest = min(fewest, count() - before)
  }
  return fewest
}

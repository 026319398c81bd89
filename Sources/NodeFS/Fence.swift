// SPDX-License-Identifier: Apache-2.0
import Atomics

/// Nothing before moves behind, nothing behind moves before. In a file of its own because the modules Atomics and
/// Synchronization have the same names for orderings.
func fullFence() {
  atomicMemoryFence(ordering: .sequentiallyConsistent)
}

/// What was read before another thread gave something up is not touched before that is seen.
func acquireFence() {
  atomicMemoryFence(ordering: .acquiring)
}

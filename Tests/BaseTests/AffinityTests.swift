// SPDX-License-Identifier: Apache-2.0
import Base
import CAllocationCount
import TestSupport
import Testing

@Suite(.ownThread) struct AffinityTests {
  @Test func whoHasComeInMayTouchTheState() {
    let affinity = Affinity()
    let state = Confined(1, to: affinity)
    affinity.enter()
    state.value += 1
    affinity.within { state.value += 1 }
    // Still in: the call inside was nested.
    #expect(state.value == 3)
    affinity.leave()
  }

  @Test func touchingItAllocatesNothing() {
    let affinity = Affinity()
    let state = Confined((first: [1], second: 2), to: affinity)
    func touch() {
      affinity.within {
        state.value.first[0] += 1
        state.value.second += state.value.first.count
      }
    }
    // What the first call of anything sets up is not counted.
    touch()
    let allocations = fewestAllocations(by: allocation_count, in: 1000) { touch() }
    #expect(allocations == 0)
    #expect(affinity.within { state.value.second } == 3003)
  }

  @Test func theNextThreadMayComeInOnceTheFirstHasLeft() throws {
    let affinity = Affinity()
    let state = Confined([1], to: affinity)
    affinity.within { state.value.append(2) }
    #expect(try Background { affinity.within { state.value } }.value == [1, 2])
  }

  @Test func touchingWhatIsNobodysEndsTheProgram() async {
    await #expect(processExitsWith: .failure) {
      let affinity = Affinity()
      affinity.within { affinity.assertIsCurrent() }
      affinity.assertIsCurrent()
    }
  }

  @Test func touchingAnotherThreadsStateEndsTheProgram() async {
    await #expect(processExitsWith: .failure) {
      let affinity = Affinity()
      let state = Confined(1, to: affinity)
      affinity.enter()
      _ = try Background { state.value }.value
    }
  }

  @Test func comingInWhileAnotherIsInsideEndsTheProgram() async {
    await #expect(processExitsWith: .failure) {
      let affinity = Affinity()
      affinity.enter()
      _ = try Background { affinity.within {} }.value
    }
  }

  @Test func anErrorLeavesTheStateToTheNext() throws {
    struct Trouble: Error {}
    let affinity = Affinity()
    #expect(throws: Trouble.self) { try affinity.within { throw Trouble() } }
    #expect(try Background { affinity.within { true } }.value)
  }
}

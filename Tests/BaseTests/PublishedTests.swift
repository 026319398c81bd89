// SPDX-License-Identifier: Apache-2.0
import Base
import CAllocationCount
import Synchronization
import TestSupport
import Testing

@Suite(.ownThread) struct PublishedTests {
  private final class Part: Sendable {}

  private struct Whole: Sendable {
    var parts: [Part]
    var name: String
    var first: Int
    var second: Int
  }

  @Test func readingAllocatesNothing() {
    let published = Published(Whole(parts: [Part()], name: "a name longer than fifteen bytes", first: 1, second: 2))
    func look() -> Int { published.value.second &+ published.edition.value.first }
    // What the first call of anything sets up is not counted.
    var sum = look()
    let allocations = fewestAllocations(by: allocation_count, in: 1000) { sum &+= look() }
    #expect(allocations == 0)
    #expect(sum == 9003)
  }

  @Test func aReaderSeesTheOldValueOrTheNewOneWhole() throws {
    let published = Published((first: 0, second: 0))
    let isOver = Atomic<Bool>(false)
    let readers = (0..<2).map { _ in
      Background {
        var torn = 0
        while !isOver.load(ordering: .relaxed) {
          let value = published.value
          if value.first != value.second { torn += 1 }
        }
        return torn
      }
    }
    for number in 0..<20_000 { published.store((number, number)) }
    isOver.store(true, ordering: .relaxed)
    for reader in readers { #expect(try reader.value == 0) }
    #expect(published.value.first == 19_999)
  }

  @Test func aCopyIsTheSamePlace() {
    let published = Published(1)
    let copy = published
    published.store(2)
    #expect(copy.value == 2)
  }

  @Test func whatIsReplacedIsLetGo() {
    let published: Published<Part?>
    weak var first: Part?
    do {
      let part = Part()
      first = part
      published = Published(part)
    }
    #expect(first != nil)
    do {
      let held = published.edition
      published.store(nil)
      #expect(held.value === first)
    }
    #expect(first == nil)
  }

  @Test func anExchangeGivesWhatWasThere() {
    let published = Published("old")
    #expect(published.exchange("new") == "old")
    #expect(published.value == "new")
  }

  @Test func anUpdateIsMadeFromWhatIsThereThen() {
    let published = Published(1)
    var seen: [Int] = []
    let isReplaced = published.update { value in
      seen.append(value)
      // Somebody else comes in between, once.
      if value == 1 { published.store(10) }
      return value + 1
    }
    #expect(isReplaced)
    #expect(seen == [1, 10])
    #expect(published.value == 11)
  }

  @Test func anUpdateMayLeaveTheValueAsItIs() {
    let published = Published(1)
    #expect(!published.update { $0 > 1 ? 0 : nil })
    #expect(published.value == 1)
  }

  @Test func noUpdateIsLost() {
    let published = Published(0)
    onThreads(4) { _ in for _ in 0..<1000 { published.update { $0 + 1 } } }
    #expect(published.value == 4000)
  }
}

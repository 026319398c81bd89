// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import MediaRuntime

@Suite(.ownThread) struct GraphFrameControlTests {
  @Test func theLongestGapSpansTheEndOfTheTable() {
    #expect(FrameControl.longestGap([]) == 1)
    #expect(FrameControl.longestGap([1, 1]) == nil)
    #expect(FrameControl.longestGap([0]) == 1)
    #expect(FrameControl.longestGap([0, 1, 2]) == 3)
    #expect(FrameControl.longestGap([1, 0, 1, 0, 1, 1]) == 4)
    #expect(FrameControl.longestGap(FrameControl.table(source: 30, destination: 1) ?? []) == 30)
  }

  @Test func aWholeRatioCountsThePlaceAfterTheKeptFrame() {
    #expect(FrameControl.table(source: 6, destination: 2) == [0, 1, 2, 0, 1, 2])
    #expect(FrameControl.table(source: 30, destination: 30) == Array(repeating: 0, count: 30))
  }

  @Test func moreKeptThanDroppedBunchesTheDropsAtTheFront() {
    #expect(FrameControl.table(source: 30, destination: 25)?.prefix(12) == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0])
  }

  @Test func fewerKeptThanDroppedDealsTheDropsInTurn() {
    let table = FrameControl.table(source: 30, destination: 7)
    let shares = table?.split(separator: 0, omittingEmptySubsequences: true).map(\.count)
    #expect(shares == [4, 4, 3, 3, 3, 3, 3])
  }

  @Test func zeroKeepsNothingAndImpossibleRatesAreRefused() {
    #expect(FrameControl.table(source: 5, destination: 0) == [1, 1, 1, 1, 1])
    #expect(FrameControl.table(source: 10, destination: 11) == nil)
    #expect(FrameControl.table(source: 0, destination: 0) == nil)
    #expect(FrameControl.table(source: 241, destination: 1) == nil)
    #expect(FrameControl.table(source: 10, destination: -1) == nil)
  }

  @Test func everyTableKeepsExactlyWhatWasAsked() {
    for source in FrameControl.rates {
      for destination in 1...source {
        let table = FrameControl.table(source: source, destination: destination)
        #expect(table?.count == source)
        #expect(table?.filter { $0 == 0 }.count == destination, "\(source) -> \(destination)")
        #expect(table?.first == 0)
      }
    }
  }
}

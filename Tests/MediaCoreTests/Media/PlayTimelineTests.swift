// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

@Suite(.ownThread) struct PlayTimelineTests {
  private static let interval: Int64 = 40_000

  /// Times of pictures of 25 frames a second with these stamps.
  private func times(_ stamps: [Int64?], _ timeline: inout PlayTimeline, duration: Int64 = interval) -> [Int64] {
    stamps.map { timeline.time(of: $0, duration: duration, interval: Self.interval) }
  }

  private func times(_ stamps: [Int64?], duration: Int64 = interval) -> [Int64] {
    var timeline = PlayTimeline()
    return times(stamps, &timeline, duration: duration)
  }

  /// Stamps of so many pictures from `start` on.
  private func stamps(_ count: Int64, from start: Int64 = 0) -> [Int64] {
    (0..<count).map { start + $0 * Self.interval }
  }

  @Test func picturesStandWhereTheirStampsSay() {
    let variable: [Int64] = [0, 33_000, 40_000, 1_000_000, 1_000_500, 9_000_000]
    #expect(times(variable) == variable)
  }

  @Test(arguments: [10_000_001, 3_600_000_000, 20_000_000_000_000_000, Int64.max - 1_000_000])
  func aPictureWhoseStampLeapsAheadFollowsTheOneBeforeAndTheRestFollowIt(_ leap: Int64) {
    #expect(times(stamps(5) + stamps(5, from: 160_000 + leap)) == stamps(10))
  }

  @Test func aGapOfSecondsIsKept() {
    let gap = stamps(5) + stamps(5, from: 160_000 + PlayTimeline.longest)
    #expect(times(gap) == gap)
  }

  @Test(arguments: [100, 30, 20, 5, 1] as [Int64])
  func filesStrungTogetherKeepTheirPaceHoweverShortTheyAre(_ length: Int64) {
    let strung = (0..<10).flatMap { _ in stamps(length) }
    // One picture standing again and again says with its stamp that no time goes by.
    #expect(times(strung) == (length == 1 ? Array(0..<10).map { Int64($0) } : stamps(length * 10)))
  }

  @Test func stampsThatLeapToAndFroKeepTheirPace() {
    let far: Int64 = 7_200_000_000
    let torn = stamps(3) + stamps(3, from: far) + stamps(3, from: 120_000) + stamps(3, from: -far)
    #expect(times(torn) == stamps(12))
  }

  @Test func gapsAfterALeapBackAreKept() {
    let torn: [Int64] = [0, 40_000, 5_000_000, 0, 40_000, 1_000_000]
    #expect(times(torn) == [0, 40_000, 5_000_000, 5_040_000, 5_080_000, 6_040_000])
  }

  @Test func picturesInTheOrderOfDecodingDoNotMoveTheStampsFromTheirPlaces() {
    // Each fourth picture comes before the three that lead to it.
    let groups = (0..<50).flatMap { group in [4, 2, 1, 3].map { Int64(group * 4 + $0) * Self.interval } }
    let given = times([0] + groups)
    #expect(zip(given, given.dropFirst()).allSatisfy { $0 < $1 })
    for (index, stamp) in ([0] + groups).enumerated() where index % 4 == 1 {
      #expect(given[index] == stamp, "picture \(index)")
    }
  }

  @Test func aSinglePictureOutOfPlaceChangesNothingAfterIt() {
    let given = times([0, 40_000, 39_000, 120_000, 160_000])
    #expect(given == [0, 40_000, 80_000, 120_000, 160_000])
  }

  @Test func equalStampsStillGoForward() {
    #expect(times([0, 0, 40_000, 40_000, 80_000]) == [0, 1, 40_000, 40_001, 80_000])
  }

  @Test func anyStampsGiveTimesThatGoForwardByTenSecondsAtMost() {
    let edges: [Int64?] = [
      .min, .max, 0, .min, .min + 1, .max - 1, -1, 1, nil, .max, .max, .min, .min, .max / 2, .min / 2, .max / 1000, nil,
    ]
    for first in edges.indices {
      for duration in [Int64.min, -1, 0, 1, 40_000, .max] {
        var timeline = PlayTimeline()
        var last: Int64 = -1
        for pass in 0..<3 {
          for stamp in edges[first...] + edges[..<first] {
            let time = timeline.time(of: stamp, duration: duration, interval: duration)
            #expect(
              time > last && time - last <= PlayTimeline.longest + 1, "\(String(describing: stamp)), pass \(pass)")
            last = time
          }
          timeline.beginPass()
        }
      }
    }
  }

  @Test func theFirstPictureStandsAtTheBeginningWhateverItsStamp() {
    for stamp in [0, -40_000, -5_000_000, 3_600_000_000, .min, .max] as [Int64] {
      #expect(times([stamp]) == [0], "\(stamp)")
    }
    // Sound may come first.
    #expect(times([80_000]) == [80_000])
  }

  @Test func aSecondPassGoesOnAfterTheFirst() {
    var timeline = PlayTimeline()
    #expect(times(stamps(10), &timeline) == stamps(10))
    timeline.beginPass()
    #expect(times(stamps(10), &timeline) == stamps(10, from: 400_000))
  }

  @Test func gapsOfASecondPassAreKept() {
    var timeline = PlayTimeline()
    #expect(times([0, 40_000, 1_000_000], &timeline) == [0, 40_000, 1_000_000])
    timeline.beginPass()
    #expect(times([0, 40_000, 1_000_000], &timeline) == [1_040_000, 1_080_000, 2_040_000])
  }

  @Test func aPassAfterOneThatLeaptGoesOnAfterIt() {
    let torn = stamps(5) + stamps(5, from: 3_600_000_000)
    var timeline = PlayTimeline()
    #expect(times(torn, &timeline) == stamps(10))
    timeline.beginPass()
    #expect(times(torn, &timeline) == stamps(10, from: 400_000))
  }

  @Test func aPassBeforeAnyPictureBeginsAtNothing() {
    var timeline = PlayTimeline()
    timeline.beginPass()
    #expect(times(stamps(3), &timeline) == stamps(3))
  }

  @Test func picturesWithoutStampsStandAsLongAsTheySayOrTheRateDoes() {
    #expect(times([nil, nil, nil], duration: 25_000) == [0, 25_000, 50_000])
    #expect(times([nil, nil, nil], duration: 0) == [0, 40_000, 80_000])
    var timeline = PlayTimeline()
    var given: [Int64] = []
    for duration in [10_000, 70_000, 0, 20_000] as [Int64] {
      given.append(timeline.time(of: nil, duration: duration, interval: Self.interval))
    }
    #expect(given == [0, 10_000, 80_000, 120_000])
  }

  @Test func noPictureHoldsUpTheNextForLong() {
    #expect(times([nil, nil, nil], duration: .max) == [0, 10_000_000, 20_000_000])
  }
}

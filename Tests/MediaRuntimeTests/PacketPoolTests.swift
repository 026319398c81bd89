// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

@testable import MediaRuntime

/// The packets that all channels share.
@Suite(.ownThread) struct PacketPoolTests {
  private final class Channel {
    let ring: PacketRing
    private var number = 0
    init(_ pool: PacketPool) {
      ring = PacketRing(capacity: 1 << 20, limit: 1 << 20, pool: pool)
      ring.open()
    }

    /// Pictures of 100 bytes, a key picture each ten.
    /// - Returns: how many were taken.
    @discardableResult
    func put(_ count: Int) -> Int {
      (0..<count).filter { _ in
        let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 100)
        bytes.withUnsafeBytes { ring.append($0) }
        let isKey = number % 10 == 0
        number += 1
        return ring.finish(
          pts: Int64(number) * 33_333,
          picture: CodedPicture(type: isKey ? .idr : .p, isKey: isKey, hasParameterSets: true),
          parameterSets: nil) != nil
      }.count
    }
  }

  private func all(_ reader: StreamReader) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let (outcome, part) = reader.read(max: 700)
      guard case .bytes = outcome else { return bytes }
      bytes += part
    }
  }

  @Test func withoutReadersNothingIsTaken() throws {
    let pool = PacketPool(limit: 128)
    let channel = Channel(pool)
    #expect(channel.put(300) == 300)
    #expect(pool.used == 0 && pool.made == 0)
    // What was there before is the ring's own.
    let reader = try channel.ring.attach()
    #expect(pool.used == 0)
    channel.put(3)
    #expect(pool.used == 3 && pool.made == 3)
    // Half of a picture is with the reader.
    _ = all(reader)
    #expect(pool.used == 0)
    channel.put(1)
    _ = reader.read(max: 50)
    #expect(pool.used == 1 && channel.ring.figures.taken == 1)
    reader.close()
    #expect(pool.used == 0 && pool.made == 3)
  }

  @Test func theHundredAndTwentyNinthCostsTheSlowestReaderOfTheChannelWithTheMost() throws {
    let pool = PacketPool(limit: 128)
    let (slow, slower, quick) = (Channel(pool), Channel(pool), Channel(pool))
    let (one, other, third) = (try slow.ring.attach(), try slower.ring.attach(), try quick.ring.attach())
    slow.put(55)
    slower.put(73)
    #expect(pool.used == 128 && pool.made == 128)
    #expect(slow.ring.figures.exhausted == 0 && slower.ring.figures.exhausted == 0)
    // Another channel's picture: it is taken, and read.
    #expect(quick.put(1) == 1)
    #expect(all(third).count == 100)
    #expect(slower.ring.figures.exhausted == 1 && slow.ring.figures.exhausted == 0 && quick.ring.figures.exhausted == 0)
    // It has lost seven groups, and goes on at the newest key picture: number 70 of 0 to 72.
    #expect(other.lostPictures == 70 && other.lostGroups == 7)
    #expect(slower.ring.figures.lostPackets == 70)
    #expect(all(other) == (70..<73).flatMap { [UInt8](repeating: $0, count: 100) })
    // Who was not the slowest has all of it.
    #expect(all(one).count == 5500 && one.lostPictures == 0)
    #expect(pool.used == 0 && pool.made == 128)
  }

  @Test func aChannelAloneKeepsToTheLimitForEver() throws {
    let pool = PacketPool(limit: 128)
    let channel = Channel(pool)
    let reader = try channel.ring.attach()
    var most = 0
    for _ in 0..<1000 {
      #expect(channel.put(1) == 1)
      most = max(most, pool.used)
    }
    #expect(most == 128 && pool.made == 128)
    #expect(channel.ring.figures.exhausted == 7)
    let bytes = all(reader)
    #expect(bytes.count % 100 == 0 && bytes.last == UInt8(truncatingIfNeeded: 999))
    // In the middle of the newest group nothing but the next key picture is whole.
    #expect(UInt64(bytes.count / 100) + reader.lostPictures == 1000)
  }

  @Test func aPictureIsLostWhereNobodyCanGiveWay() throws {
    let pool = PacketPool(limit: 1)
    let channel = Channel(pool)
    let reader = try channel.ring.attach()
    #expect(channel.put(1) == 1)
    _ = reader.read(max: 10)
    #expect(pool.used == 1)
    #expect(channel.put(1) == 0)
    #expect(channel.ring.figures.exhausted == 1)
    #expect(all(reader).count == 90)
    #expect(channel.put(1) == 1)
  }

  /// Without a newer key picture it waits for the next one, and what passes until then is lost to it, counted.
  @Test func whoHasBegunTheNewestGroupWaitsForTheNext() throws {
    let pool = PacketPool(limit: 5)
    let channel = Channel(pool)
    let reader = try channel.ring.attach()
    channel.put(1)
    #expect(all(reader).count == 100)
    channel.put(9)
    #expect(channel.ring.figures.exhausted == 1 && reader.lostPictures == 5)
    channel.put(2)
    #expect(reader.lostPictures == 9 && channel.ring.figures.lostPackets == 9 && reader.lostGroups == 1)
    #expect(all(reader) == [10, 11].flatMap { [UInt8](repeating: $0, count: 100) })
  }

  /// One that stalls at the end of a run must not hold what the next one needs.
  @Test func aReaderOfARunThatHasEndedGivesWayToo() throws {
    let pool = PacketPool(limit: 20)
    let channel = Channel(pool)
    let old = try channel.ring.attach()
    channel.put(20)
    channel.ring.close()
    channel.ring.open()
    let new = try channel.ring.attach()
    #expect(channel.put(1) == 1 && all(new).count == 100)
    #expect(old.read(max: 10).outcome == .end && old.lostPictures == 20)
    #expect(pool.used == 0)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

@Suite(.ownThread) struct StreamRingTests {
  /// Writes a picture whose bytes are its number, so that a reader can tell what it got.
  @discardableResult
  private func put(
    _ ring: PacketRing, _ number: Int, size: Int = 1000, key: Bool, sets: Bool = false, interval: Int64 = 33_333
  ) -> Int? {
    let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
    // In two pieces, as engines give them.
    bytes.withUnsafeBytes { bytes in
      ring.append(UnsafeRawBufferPointer(rebasing: bytes[..<(size / 2)]))
      ring.append(UnsafeRawBufferPointer(rebasing: bytes[(size / 2)...]))
    }
    return ring.finish(
      pts: Int64(number) * interval, picture: CodedPicture(type: key ? .idr : .p, isKey: key, hasParameterSets: sets),
      parameterSets: nil)
  }

  private func all(_ reader: StreamReader, step: Int = 700) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let (outcome, part) = reader.read(max: step)
      guard case .bytes = outcome else { return bytes }
      bytes.append(contentsOf: part)
    }
  }

  @Test func aReaderStartsAtTheNewestKeyFrameInTheRing() throws {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open()
    for number in 0..<25 { put(ring, number, key: number % 10 == 0) }
    let reader = try ring.attach()
    let bytes = all(reader)
    #expect(bytes.count == 5000)
    #expect(bytes.first == 20)
    #expect(bytes.last == 24)
    #expect(reader.read(max: 10).outcome == .wouldBlock)
  }

  /// A point the stream itself says one can begin at serves as a key frame does: for who joins, and for who was too slow.
  @Test func aReaderStartsAndGoesOnAtARecoveryPoint() throws {
    let ring = PacketRing(capacity: 64 << 10, limit: 64 << 10)
    ring.open()
    func put(_ numbers: Range<Int>) {
      for number in numbers {
        let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1000)
        bytes.withUnsafeBytes { ring.append($0) }
        var picture = CodedPicture(type: number == 0 ? .idr : .p, isKey: number == 0)
        if number % 10 == 0, number > 0 { picture.recoversAfter = 4 }
        [UInt8]("set".utf8).withUnsafeBytes { sets in
          _ = ring.finish(pts: Int64(number) * 33_333, picture: picture, parameterSets: number == 0 ? sets : nil)
        }
      }
    }
    put(0..<25)
    let reader = try ring.attach()
    let bytes = all(reader)
    #expect(bytes.count == 5003 && bytes.prefix(3).elementsEqual("set".utf8) && bytes[3] == 20 && bytes.last == 24)
    put(25..<200)
    let rest = all(reader)
    let first = try #require(rest.dropFirst(3).first)
    #expect(rest.prefix(3).elementsEqual("set".utf8) && first % 10 == 0)
    #expect(ring.figures.lostGroups == UInt64(first) / 10 - 2 && ring.figures.lostPackets == UInt64(first) - 25)
    #expect(rest.count == 3 + 1000 * (200 - Int(first)))
    var taken: [UInt8] = []
    let other = try ring.attach()
    guard case .picture(let picture) = other.next(into: &taken) else {
      Issue.record("no picture")
      return
    }
    #expect(picture.isKey && taken.prefix(3).elementsEqual("set".utf8) && taken.last == 190)
  }

  @Test func withoutAKeyFrameAReaderWaitsForTheNext() throws {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open()
    for number in 1..<5 { put(ring, number, key: false) }
    let reader = try ring.attach()
    #expect(reader.read(max: 10).outcome == .wouldBlock)
    put(ring, 5, key: true)
    #expect(all(reader).count == 1000)
  }

  /// On a small board a ring of megabytes for pictures that nobody can begin with is memory for nothing.
  @Test func switchedOnAndOffItKeepsNoPictureOfARunThatNobodyReads() throws {
    let ring = PacketRing(capacity: 64 << 10, limit: 1 << 20)
    for round in 0..<40 {
      ring.open()
      // All of it within the time that a ring holds.
      for number in 0..<4 { put(ring, 4 * round + number, key: number == 0, interval: 1000) }
      #expect(ring.figures.packets == 4)
      ring.close()
    }
    #expect(ring.figures.capacity == 64 << 10)
    // Who has still to read gets it after the next start, too.
    ring.open()
    put(ring, 200, key: true)
    let late = try ring.attach()
    ring.close()
    ring.open()
    put(ring, 201, key: true)
    let rest = all(late)
    #expect(rest.count == 1000 && rest.allSatisfy { $0 == 200 })
    #expect(ring.figures.packets == 2)
  }

  @Test func twoReadersGetTheWholeStreamEach() throws {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open()
    let first = try ring.attach()
    let second = try ring.attach()
    for number in 0..<40 { put(ring, number, key: number % 10 == 0) }
    let one = all(first, step: 333)
    let two = all(second, step: 100_000)
    #expect(one.count == 40_000)
    #expect(one == two)
  }

  @Test func aSlowReaderLosesWholeGroupsAndNeverPartOfAPicture() throws {
    let ring = PacketRing(capacity: 64 << 10, limit: 64 << 10)
    ring.open()
    let reader = try ring.attach()
    put(ring, 0, key: true)
    // Half of the first picture is taken; the rest is kept for the reader.
    #expect(reader.read(max: 500).bytes.count == 500)
    for number in 1..<200 { put(ring, number, key: number % 10 == 0) }
    let rest = all(reader)
    #expect(rest.prefix(500).allSatisfy { $0 == 0 }, "the picture begun is finished")
    let after = rest.dropFirst(500)
    let first = Int(after.first ?? 255)
    #expect(first % 10 == 0 && first > 0, "goes on with a key frame, \(first)")
    #expect(after.count % 1000 == 0)
    #expect(after.last == 199)
    #expect(reader.lostPictures == UInt64(first - 1))
    #expect(reader.lostGroups == UInt64(first / 10))
    #expect(ring.figures.lostPackets == reader.lostPictures)
  }

  @Test func theRingGrowsToHoldTwoSecondsAndNoFurtherThanItsLimit() {
    let ring = PacketRing(capacity: 64 << 10, limit: 1 << 20)
    ring.open()
    // 30 pictures a second of 4000 bytes: two seconds are 240 kB.
    for number in 0..<300 { put(ring, number, size: 4000, key: number % 30 == 0) }
    let figures = ring.figures
    #expect(figures.capacity >= 240_000)
    #expect(figures.capacity <= 1 << 20)
    #expect(figures.packets >= 60)
    #expect(figures.refused == 0)
  }

  @Test func aPictureLargerThanTheLimitIsRefusedAndCounted() {
    let ring = PacketRing(capacity: 64 << 10, limit: 64 << 10)
    ring.open()
    #expect(put(ring, 0, size: 1000, key: true) == 1000)
    #expect(put(ring, 1, size: 100_000, key: false) == nil)
    #expect(put(ring, 2, size: 1000, key: true) == 1000)
    #expect(ring.figures.refused == 1)
  }

  @Test func parameterSetsOfTheStreamGoBeforeAKeyFrameThatLacksThem() throws {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open()
    [UInt8](repeating: 7, count: 10).withUnsafeBytes { ring.append($0) }
    [UInt8](repeating: 9, count: 3).withUnsafeBytes { sets in
      _ = ring.finish(pts: 0, picture: CodedPicture(type: .idr, isKey: true), parameterSets: sets)
    }
    let reader = try ring.attach()
    #expect(all(reader) == [9, 9, 9, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
  }

  @Test func disablingGivesTheRestAndThenTheEnd() throws {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open()
    let reader = try ring.attach()
    for number in 0..<5 { put(ring, number, key: number == 0) }
    ring.close()
    #expect(all(reader).count == 5000)
    #expect(reader.read(max: 10).outcome == .end)
    // The channel starts again before a second reader has read all of the first run.
    ring.open()
    put(ring, 5, key: true)
    let next = try ring.attach()
    ring.close()
    ring.open()
    #expect(all(next).count == 1000)
    #expect(next.read(max: 10).outcome == .end)
    #expect(reader.read(max: 10).outcome == .end)
  }

  @Test func retiringGivesNoDevice() throws {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open()
    let reader = try ring.attach()
    ring.retire()
    #expect(reader.read(max: 10).outcome == .gone)
    #expect(throws: Failure.self) { try ring.attach() }
  }

  private final class Calls: Sendable {
    let count = Atomic<Int>(0)
    func add() { count.add(1, ordering: .relaxed) }
    var value: Int { count.load(ordering: .relaxed) }
  }

  @Test func aWaitingReaderIsCalledOnceForAPictureAnEndAndARemoval() throws {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open()
    let reader = try ring.attach()
    let calls = Calls()
    reader.whenReadable { calls.add() }
    #expect(calls.value == 0)
    put(ring, 0, key: true)
    #expect(calls.value == 1)
    put(ring, 1, key: false)
    #expect(calls.value == 1, "once")
    reader.whenReadable { calls.add() }
    #expect(calls.value == 2, "at once, there is something")
    _ = all(reader)
    reader.whenReadable { calls.add() }
    ring.close()
    #expect(calls.value == 3)
    _ = reader.read(max: 1)
    reader.whenReadable { calls.add() }
    #expect(calls.value == 4, "the end is there at once")
    ring.open()
    let other = try ring.attach()
    other.whenReadable { calls.add() }
    other.cancelWait()
    ring.retire()
    #expect(calls.value == 4, "a wait that was cancelled is not called")
  }

  @Test func whatIsInUseIsWhatSomebodyStillNeeds() throws {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open()
    for number in 0..<15 { put(ring, number, key: number % 10 == 0) }
    // From the newest key frame: pictures 10 to 14.
    #expect(ring.figures.used == 5000)
    let reader = try ring.attach()
    for number in 15..<25 { put(ring, number, key: number % 10 == 0) }
    _ = reader.read(max: 1000)
    #expect(ring.figures.used == 14_000, "the reader has got picture 10")
    #expect(ring.figures.waiting == 14)
    _ = all(reader)
    put(ring, 25, key: false)
    #expect(ring.figures.waiting == 1)
    #expect(ring.figures.highWater >= 14_000)
    reader.close()
    #expect(ring.figures.readers == 0)
  }

  @Test func writingGoesOnWhileReadersComeAndGo() throws {
    let ring = PacketRing(capacity: 64 << 10, limit: 128 << 10)
    ring.open()
    let bad = Calls()
    let done = Calls()
    let readers = (0..<3).map { index in
      Background("reader\(index)") {
        while done.value == 0 {
          guard let reader = try? ring.attach() else { return }
          for _ in 0..<50 {
            let (outcome, bytes) = reader.read(max: 300 + 100 * index)
            // Pictures are 1000 equal bytes: inside one, nothing may change.
            if case .bytes = outcome, bytes.isEmpty { bad.add() }
          }
          reader.close()
        }
      }
    }
    for number in 0..<3000 { put(ring, number, key: number % 12 == 0) }
    done.add()
    for reader in readers { try reader.value }
    #expect(bad.value == 0)
    #expect(ring.figures.written == 3000)
    #expect(ring.figures.readers == 0)
  }
}

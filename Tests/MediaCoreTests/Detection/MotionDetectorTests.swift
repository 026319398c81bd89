// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import MediaCore

@Suite(.ownThread) struct MotionDetectorTests {
  /// Small pictures, since an unoptimised build looks at every sample: 144x112, which is no multiple of 16 in height.
  private static let (width, height) = (144, 104)

  /// A wall with detail: bricks with joints.
  private static let wall: [UInt8] = (0..<width * height).map { index in
    let (x, y) = (index % width, index / width)
    return x % 12 < 2 || y % 8 < 2 ? 150 : UInt8(70 + (x / 12 * 7 + y / 8 * 13) % 30)
  }

  private struct Camera {
    var state: UInt64 = 1
    var noise = 0

    /// About normal: the sum of four.
    mutating func sample(_ value: Int) -> UInt8 {
      guard noise > 0 else { return UInt8(min(255, max(0, value))) }
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let dice = (0..<4).map { Int(state >> (16 + 8 * UInt64($0)) & 0xff) - 127 }.reduce(0, +)
      return UInt8(min(255, max(0, value + dice * noise / 128)))
    }

    mutating func picture(_ change: (Int, Int, Int) -> Int = { _, _, value in value }) -> [UInt8] {
      wall.enumerated().map { index, value in sample(change(index % width, index / width, Int(value))) }
    }
  }

  private static func look(_ detector: inout MotionDetector, _ picture: [UInt8], _ pts: Int64 = 0) -> MotionFindings {
    var findings = MotionFindings()
    picture.withUnsafeBufferPointer {
      detector.look(at: $0.baseAddress.unsafelyUnwrapped, stride: width, pts: pts, into: &findings)
    }
    return findings
  }

  private static func detector(_ change: (inout MotionSettings) -> Void = { _ in }) throws -> MotionDetector {
    var settings = MotionSettings()
    change(&settings)
    return try #require(MotionDetector(width: width, height: height, settings))
  }

  /// A camera at night.
  @Test(arguments: [2, 6, 12]) func noiseAloneMovesNothing(noise: Int) throws {
    var detector = try Self.detector()
    var camera = Camera(noise: noise)
    var alarms = 0
    for _ in 0..<60 {
      let found = Self.look(&detector, camera.picture())
      alarms += found.alarmBlocks
      #expect(!found.isOccluded)
    }
    #expect(alarms == 0)
  }

  /// From dim to bright and back, 150 steps of luma in all, on top of noise.
  @Test func aLampThatIsDimmedMovesNothing() throws {
    var detector = try Self.detector()
    var camera = Camera(noise: 3)
    for step in 0..<100 {
      let light = step < 50 ? step * 3 / 2 : (100 - step) * 3 / 2
      let found = Self.look(&detector, camera.picture { _, _, value in value - 30 + light })
      #expect(found.alarmBlocks == 0 && !found.isOccluded, "step \(step): \(found)")
    }
  }

  /// A bright thing of 24x24 that goes right by 4 pixels a picture.
  private static func thing(_ left: Int, _ x: Int, _ y: Int, _ value: Int) -> Int {
    (left..<left + 24).contains(x) && (32..<56).contains(y) ? 230 : value
  }

  /// A background that follows slowly sees it whole, with what it has left of late.
  @Test(arguments: [8, 16]) func whatMovesIsFoundWhereItIs(block: Int) throws {
    var detector = try Self.detector {
      $0.block = block
      $0.backgroundWeight = 240
    }
    var camera = Camera(noise: 2)
    for _ in 0..<10 { _ = Self.look(&detector, camera.picture()) }
    for step in 0..<10 {
      let left = 16 + step * 4
      let found = Self.look(&detector, camera.picture { x, y, value in Self.thing(left, x, y, value) })
      #expect(found.objects.count == 1, "\(found)")
      let area = try #require(found.objects.first?.area)
      #expect(area.x <= left && (left + 24...left + 23 + block).contains(area.x + area.width), "\(area) at \(left)")
      #expect(area.y == 32 && (56...56 + block - 1).contains(area.y + area.height), "\(area)")
      #expect(found.alarmPixels == found.alarmBlocks * block * block && found.largest > 100)
    }
    // It stays: the background takes it in, and nothing moves any more.
    var still = 0
    for _ in 0..<100 {
      let found = Self.look(&detector, camera.picture { x, y, value in Self.thing(52, x, y, value) })
      still = found.hasMoved ? 0 : still + 1
    }
    #expect(still > 10)
  }

  /// Against the picture before it is where it has come to and where it was, and nothing as soon as it stays.
  @Test func aReferenceShowsWhatChangedSinceThePictureBefore() throws {
    var detector = try Self.detector {
      $0.block = 8
      $0.algorithm = .reference
    }
    var camera = Camera(noise: 2)
    for _ in 0..<3 { _ = Self.look(&detector, camera.picture()) }
    _ = Self.look(&detector, camera.picture { x, y, value in Self.thing(16, x, y, value) })
    let moved = Self.look(&detector, camera.picture { x, y, value in Self.thing(24, x, y, value) })
    #expect(
      moved.objects.map(\.area) == [
        Rectangle(x: 16, y: 32, width: 8, height: 24), Rectangle(x: 40, y: 32, width: 8, height: 24),
      ], "\(moved)")
    let stays = Self.look(&detector, camera.picture { x, y, value in Self.thing(24, x, y, value) })
    #expect(!stays.hasMoved)
  }

  @Test func thingsApartAreToldApartAndTheLargestComesFirst() throws {
    var detector = try Self.detector { $0.block = 8 }
    var camera = Camera()
    for _ in 0..<5 { _ = Self.look(&detector, camera.picture()) }
    func isInside(_ x: Int, _ y: Int) -> Bool {
      (8..<16).contains(x) && (8..<16).contains(y) || (64..<96).contains(x) && (40..<72).contains(y)
        || (136..<144).contains(x) && (96..<104).contains(y)
    }
    let picture = camera.picture { x, y, value in isInside(x, y) ? 255 - value / 2 : value }
    let found = Self.look(&detector, picture)
    #expect(
      found.objects.map(\.area) == [
        Rectangle(x: 64, y: 40, width: 32, height: 32), Rectangle(x: 8, y: 8, width: 8, height: 8),
        Rectangle(x: 136, y: 96, width: 8, height: 8),
      ])
    #expect(found.objects.map(\.blocks) == [16, 1, 1] && found.alarmPixels == 18 * 64)
    var few = try Self.detector {
      $0.block = 8
      $0.mostObjects = 1
    }
    for _ in 0..<5 { _ = Self.look(&few, camera.picture()) }
    let largest = Self.look(&few, picture)
    #expect(largest.objects.count == 1 && largest.objects.first?.blocks == 16 && largest.alarmBlocks == 18)
  }

  /// Blocks at the edges that are cut count as what they are.
  @Test func picturesOfAnySizeAreLookedAtWhole() throws {
    for (width, height) in [(16, 16), (17, 33), (31, 16), (50, 41)] {
      for block in [8, 16] {
        var settings = MotionSettings()
        settings.block = block
        var detector = try #require(MotionDetector(width: width, height: height, settings))
        var picture = [UInt8](repeating: 90, count: width * height)
        var findings = MotionFindings()
        func look(_ picture: [UInt8]) {
          picture.withUnsafeBufferPointer {
            detector.look(at: $0.baseAddress.unsafelyUnwrapped, stride: width, pts: 0, into: &findings)
          }
        }
        for _ in 0..<3 { look(picture) }
        #expect(!findings.hasMoved)
        picture[width * height - 1] = 91
        look(picture)
        #expect(!findings.hasMoved)
        // The block in the corner.
        let (left, top) = ((width - 1) / block * block, (height - 1) / block * block)
        for y in top..<height { for x in left..<width { picture[y * width + x] = 255 } }
        look(picture)
        // A picture of one block has nothing to be brighter than.
        guard findings.blocks > 2 else { continue }
        #expect(findings.alarmPixels == (width - left) * (height - top), "\(width)x\(height) \(block)")
      }
    }
    #expect(MotionDetector(width: 15, height: 16, MotionSettings()) == nil)
  }

  // MARK: the lens

  @Test func aCoveredLensIsToldAndWithdrawnOnce() throws {
    var detector = try Self.detector {
      $0.coveredCount = 5
      $0.uncoveredCount = 8
    }
    var camera = Camera(noise: 1)
    var changes: [(Int, Bool)] = []
    var isOccluded = false
    for number in 0..<150 {
      let isCovered = (60..<100).contains(number)
      let found = Self.look(
        &detector, camera.picture { x, y, value in isCovered && x < 130 ? 40 + y / 20 : value })
      if found.isOccluded != isOccluded {
        isOccluded = found.isOccluded
        changes.append((number, isOccluded))
      }
    }
    #expect(changes.map(\.0) == [64, 107] && changes.map(\.1) == [true, false], "\(changes)")
  }

  @Test func lessThanTheAreaIsNoOcclusionAndNeitherIsTheDark() throws {
    var detector = try Self.detector { $0.coveredPercent = 60 }
    var camera = Camera(noise: 1)
    for _ in 0..<60 { _ = Self.look(&detector, camera.picture()) }
    for _ in 0..<40 {
      let found = Self.look(&detector, camera.picture { x, _, value in x < 64 ? 60 : value })
      #expect(!found.isOccluded && (30...55).contains(found.coveredPercent ?? 0), "\(found)")
    }
    // Another scene has other detail.
    for _ in 0..<40 {
      let found = Self.look(&detector, camera.picture { x, y, _ in (x + y) % 10 < 4 ? 40 : 200 })
      #expect(!found.isOccluded)
    }
    var night = try Self.detector()
    let found = (0..<30).map { _ in Self.look(&night, camera.picture { _, _, value in 16 + value / 100 }) }
    #expect(found.allSatisfy { $0.coveredPercent == nil && !$0.isOccluded })
    // Not looked for.
    var deaf = try Self.detector { $0.coveredPercent = 0 }
    for _ in 0..<60 { _ = Self.look(&deaf, camera.picture()) }
    for _ in 0..<40 {
      let found = Self.look(&deaf, camera.picture { _, _, _ in 30 })
      #expect(!found.isOccluded)
    }
  }

  @Test func settingsThatMoveNoBlocksAreTakenLive() throws {
    var detector = try Self.detector()
    var settings = detector.settings
    settings.threshold = 4080
    let isTaken = detector.change(settings)
    #expect(isTaken)
    var camera = Camera()
    for _ in 0..<3 { _ = Self.look(&detector, camera.picture()) }
    let coarse = Self.look(&detector, camera.picture { x, _, value in x < 32 ? 255 : value })
    settings.threshold = 0
    let isFine = detector.change(settings)
    let fine = Self.look(&detector, camera.picture { x, _, value in x < 32 ? 0 : value })
    #expect(!coarse.hasMoved && isFine && fine.hasMoved)
    settings.block = 8
    let isOther = detector.change(settings)
    #expect(!isOther)
  }
}

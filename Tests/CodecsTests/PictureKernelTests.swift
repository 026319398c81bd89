// SPDX-License-Identifier: Apache-2.0
import CPictures
import TestSupport
import Testing

@testable import Codecs

/// The kernels that scale planes: those of vector units against the plain ones, and those against numbers that are not rounded.
@Suite(.ownThread) struct PictureKernelTests {
  /// Sizes of a plane before and after.
  struct Work: CustomStringConvertible {
    var width: Int
    var height: Int
    var newWidth: Int
    var newHeight: Int
    var channels = 1
    var description: String { "\(width)x\(height) to \(newWidth)x\(newHeight), \(channels) channel(s)" }

    func tables(_ instructions: Int) -> OpaquePointer? {
      pictures_scaling_make(
        CInt(width), CInt(height), CInt(newWidth), CInt(newHeight), CInt(channels), CInt(instructions))
    }
  }

  /// Ratios with a kernel of their own, by their name.
  static let ratios: [(name: String, from: Int, to: Int)] = [
    ("3:2", 3, 2), ("4:3", 4, 3), ("1:2", 1, 2), ("2:1", 2, 1), ("3:1", 3, 1), ("4:1", 4, 1),
  ]

  private static func scaled(
    _ work: Work, _ instructions: Int, _ source: GuardedPlane, upsideDown: Bool, gap: Int, atEnd: Bool
  ) throws -> (samples: [UInt8], name: String) {
    let tables = try #require(work.tables(instructions), "\(work)")
    defer { pictures_scaling_free(tables) }
    let target = try GuardedPlane(
      bytes: work.newWidth * work.channels, lines: work.newHeight, gap: gap, atEnd: atEnd)
    let from = upsideDown ? source.start + (source.lines - 1) * source.stride : source.start
    pictures_scale(tables, from, upsideDown ? -source.stride : source.stride, target.start, target.stride)
    #expect(target.gapsAreUntouched, "\(work)")
    return (target.samples, String(cString: pictures_scaling_name(tables)))
  }

  /// Any size, start and stride, at both ends of memory; samples at random, all at their ends, and of one value.
  @Test func vectorUnitsGiveTheSameBytesAsPlainCode() throws {
    #if arch(x86_64) || arch(arm64)
      #expect(String(cString: pictures_instructions()) != "plain")
    #endif
    var random = SplitMix(state: 11)
    func any(_ most: Int) -> Int { 1 + Int(random.next() % UInt64(most)) }
    var seen: [String: Int] = [:]
    for round in 0..<1200 {
      var work: Work
      if round % 2 == 0 {
        let (_, from, to) = Self.ratios[round / 2 % Self.ratios.count]
        let (across, down) = (any(90), any(5))
        work = Work(width: across * from, height: down * from, newWidth: across * to, newHeight: down * to)
      } else {
        work = Work(width: any(220), height: any(14), newWidth: any(220), newHeight: any(14))
        if work.width > work.newWidth * 16 { work.width = work.newWidth * 16 }
      }
      work.channels = any(2)
      let atEnd = any(2) == 1
      let upsideDown = any(4) == 1
      let source = try GuardedPlane(
        bytes: work.width * work.channels, lines: work.height, gap: any(9) - 1, atEnd: atEnd)
      let kind = any(3)
      source.fill { _, _ in
        kind == 1 ? UInt8(truncatingIfNeeded: random.next()) : kind == 2 ? UInt8(any(2) - 1) * 255 : 255
      }
      let gap = any(9) - 1
      let best = try Self.scaled(work, Int(PICTURES_BEST), source, upsideDown: upsideDown, gap: gap, atEnd: atEnd)
      let plain = try Self.scaled(work, Int(PICTURES_PLAIN), source, upsideDown: upsideDown, gap: gap, atEnd: atEnd)
      #expect(best.samples == plain.samples, "\(work) \(best.name)")
      if kind == 3 { #expect(plain.samples.allSatisfy { $0 == 255 }, "\(work) \(plain.name)") }
      seen[best.name, default: 0] += 1
    }
    for name in Self.ratios.map(\.name) + ["area", "bilinear"] {
      #expect(seen[name, default: 0] >= 20, "\(name): \(seen)")
    }
  }

  /// One axis: the mean of what a sample covers where it shrinks, between the two nearest where it grows.
  private static func exact(_ line: [Double], _ newCount: Int) -> [Double] {
    let (count, ratio) = (line.count, Double(line.count) / Double(newCount))
    return (0..<newCount).map { place in
      if newCount < count {
        let (begin, end) = (Double(place) * ratio, Double(place + 1) * ratio)
        return (Int(begin)..<min(count, Int(end.rounded(.up)))).reduce(0) { sum, at in
          sum + line[at] * (min(end, Double(at + 1)) - max(begin, Double(at))) / ratio
        }
      }
      let middle = min(Double(count - 1), max(0, (Double(place) + 0.5) * ratio - 0.5))
      let first = Int(middle)
      return line[first] + (middle - Double(first)) * (line[min(count - 1, first + 1)] - line[first])
    }
  }

  @Test(arguments: [
    (Work(width: 96, height: 60, newWidth: 64, newHeight: 40), "3:2", 0.501),
    (Work(width: 96, height: 60, newWidth: 72, newHeight: 45), "4:3", 0.501),
    (Work(width: 48, height: 30, newWidth: 96, newHeight: 60), "1:2", 0.501),
    (Work(width: 96, height: 60, newWidth: 48, newHeight: 30), "2:1", 0.501),
    (Work(width: 96, height: 60, newWidth: 32, newHeight: 20), "3:1", 0.501),
    (Work(width: 96, height: 60, newWidth: 24, newHeight: 15), "4:1", 0.501),
    (Work(width: 97, height: 61, newWidth: 64, newHeight: 40), "area", 0.6),
    (Work(width: 128, height: 90, newWidth: 48, newHeight: 20), "area", 0.6),
    (Work(width: 160, height: 128, newWidth: 10, newHeight: 8), "area", 0.6),
    (Work(width: 100, height: 9, newWidth: 33, newHeight: 40), "area", 0.6),
    (Work(width: 31, height: 50, newWidth: 77, newHeight: 20), "area", 0.6),
    (Work(width: 60, height: 40, newWidth: 90, newHeight: 60), "bilinear", 0.6),
    (Work(width: 60, height: 40, newWidth: 60, newHeight: 61), "bilinear", 0.6),
    (Work(width: 1, height: 1, newWidth: 40, newHeight: 3), "bilinear", 0.501),
  ])
  func planesAreWithinRoundingOfTheExactOnes(_ work: Work, _ name: String, _ limit: Double) throws {
    for channels in 1...2 {
      var work = work
      work.channels = channels
      let source = try GuardedPlane(bytes: work.width * channels, lines: work.height, gap: 3, atEnd: true)
      var random = SplitMix(state: 5)
      source.fill { _, _ in UInt8(truncatingIfNeeded: random.next()) }
      let made = try Self.scaled(work, Int(PICTURES_BEST), source, upsideDown: false, gap: 0, atEnd: true)
      #expect(made.name == name)
      var worst = 0.0
      for channel in 0..<channels {
        let lines = (0..<work.height).map { line in
          Self.exact(
            (0..<work.width).map { Double(source.start[line * source.stride + $0 * channels + channel]) }, work.newWidth
          )
        }
        for column in 0..<work.newWidth {
          for (row, value) in Self.exact(lines.map { $0[column] }, work.newHeight).enumerated() {
            let found = Double(made.samples[(row * work.newWidth + column) * channels + channel])
            worst = max(worst, abs(found - value))
          }
        }
      }
      #expect(worst <= limit, "\(work): \(worst)")
    }
  }

  @Test func whatTheyDoNotDoIsRefused() {
    for work in [
      Work(width: 0, height: 8, newWidth: 8, newHeight: 8), Work(width: 8, height: 8, newWidth: 8, newHeight: -1),
      Work(width: 8, height: 8, newWidth: 8, newHeight: 8, channels: 3),
      Work(width: 129, height: 8, newWidth: 8, newHeight: 8), Work(width: 8, height: 129, newWidth: 8, newHeight: 8),
      Work(width: 8, height: 8, newWidth: 70_000, newHeight: 8),
    ] {
      #expect(work.tables(Int(PICTURES_BEST)) == nil, "\(work)")
    }
  }

  @Test func tenBitsAreRoundedToEight() throws {
    for count in [1, 7, 31, 32, 33, 100] {
      let source = try GuardedPlane(bytes: count * 2, lines: 3, gap: 2, atEnd: true)
      var random = SplitMix(state: UInt64(count))
      // The first ones are the largest there are: rounding up would be more than a byte holds.
      source.fill { _, column in column < 8 ? 0xff : UInt8(truncatingIfNeeded: random.next()) }
      var wanted: [UInt8] = []
      for line in 0..<3 {
        for column in 0..<count {
          let at = source.start + line * source.stride + column * 2
          wanted.append(UInt8(min(255, (Int(at[0]) + Int(at[1]) << 8 + 128) >> 8)))
        }
      }
      for instructions in [PICTURES_PLAIN, PICTURES_BEST] {
        let target = try GuardedPlane(bytes: count, lines: 3, gap: 5, atEnd: true)
        pictures_shorten(
          source.start, source.stride, target.start, target.stride, CInt(count), 3, CInt(instructions))
        #expect(target.samples == wanted && target.gapsAreUntouched, "\(count)")
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import CPictures
import KernelChecks
import TestSupport
import Testing

@testable import Codecs

/// The kernels that scale planes: those of vector units against the plain ones, and those against numbers that are not rounded.
@Suite(.ownThread) struct PictureKernelTests {
  typealias Work = ScalingWork

  /// Any size, start and stride, at both ends of memory.
  @Test func vectorUnitsGiveTheSameBytesAsPlainCode() throws {
    #if arch(x86_64) || arch(arm64)
      #expect(String(cString: pictures_instructions()) != "plain")
    #endif
    var comparison = Comparison()
    try comparison.scale(rounds: 1200)
    #expect(comparison.different.isEmpty)
    for name in Comparison.scalingKernels {
      #expect(comparison.seen[name, default: 0] >= 20, "\(name): \(comparison.seen)")
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
      let made = try work.scaled(Int(PICTURES_BEST), source)
      #expect(made.name == name && made.isClean)
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
    var comparison = Comparison()
    try comparison.shorten()
    #expect(comparison.different.isEmpty)
    #expect(comparison.seen["10 bit"] == 20)
  }
}

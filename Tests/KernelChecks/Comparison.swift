// SPDX-License-Identifier: Apache-2.0
import CPainting
import CPictures
import MediaCore

/// Loops with the processor's own instructions beside the plain ones. Used by the tests, and by a program that runs on
/// processors of another kind, where the tests do not.
package struct Comparison {
  /// Where the bytes differ, or bytes were written that are nobody's; in words.
  package private(set) var different: [String] = []
  /// How often each kernel was looked at, by its name.
  package private(set) var seen: [String: Int] = [:]

  package init() {}

  /// Ratios with a kernel of their own, by their name.
  private static let ratios: [(name: String, from: Int, to: Int)] = [
    ("3:2", 3, 2), ("4:3", 4, 3), ("1:2", 1, 2), ("2:1", 2, 1), ("3:1", 3, 1), ("4:1", 4, 1),
  ]
  package static let scalingKernels = ratios.map(\.name) + ["area", "bilinear"]

  /// Scales planes of any size, start and stride, at both ends of memory; samples at random, all at their ends, and of one value.
  package mutating func scale(rounds: Int) throws {
    var random = SplitMix(state: 11)
    for round in 0..<rounds {
      var work: ScalingWork
      if round % 2 == 0 {
        let (_, from, to) = Self.ratios[round / 2 % Self.ratios.count]
        let (across, down) = (random.any(90), random.any(5))
        work = ScalingWork(width: across * from, height: down * from, newWidth: across * to, newHeight: down * to)
      } else {
        work = ScalingWork(
          width: random.any(220), height: random.any(14), newWidth: random.any(220), newHeight: random.any(14))
        if work.width > work.newWidth * 16 { work.width = work.newWidth * 16 }
      }
      work.channels = random.any(2)
      let atEnd = random.any(2) == 1
      let upsideDown = random.any(4) == 1
      let source = try GuardedPlane(
        bytes: work.width * work.channels, lines: work.height, gap: random.any(9) - 1, atEnd: atEnd)
      let kind = random.any(3)
      source.fill { _, _ in kind == 1 ? random.byte() : kind == 2 ? UInt8(random.any(2) - 1) * 255 : 255 }
      let gap = random.any(9) - 1
      let best = try work.scaled(Int(PICTURES_BEST), source, upsideDown: upsideDown, gap: gap, atEnd: atEnd)
      let plain = try work.scaled(Int(PICTURES_PLAIN), source, upsideDown: upsideDown, gap: gap, atEnd: atEnd)
      // One value stays that value.
      let isRight = kind != 3 || plain.samples.allSatisfy { $0 == 255 }
      note(best.samples == plain.samples && best.isClean && plain.isClean && isRight, best.name, "\(work)")
    }
  }

  /// Samples of 10 bit made 8, and those against the formula.
  package mutating func shorten() throws {
    for count in [1, 7, 8, 15, 16, 17, 31, 32, 33, 100] {
      let source = try GuardedPlane(bytes: count * 2, lines: 3, gap: 2, atEnd: true)
      var random = SplitMix(state: UInt64(count))
      // The first ones are the largest there are: rounding up would be more than a byte holds.
      source.fill { _, column in column < 8 ? 0xff : random.byte() }
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
        note(target.samples == wanted && target.gapsAreUntouched, "10 bit", "\(count) samples, \(instructions)")
      }
    }
  }

  /// Blends every colour over every other with every share.
  package mutating func blendAll() {
    let every = (0...255).map { UInt8($0) }
    for color in every {
      let colors = [UInt8](repeating: color, count: 256)
      for share in every {
        let shares = [UInt8](repeating: share, count: 256)
        var (fast, plain) = (every, every)
        mpifs_blend(&fast, colors, shares, 256)
        mpifs_blend_plain(&plain, colors, shares, 256)
        note(fast == plain, "blend", "colour \(color), share \(share)")
      }
    }
  }

  /// Blends lines of any length and start; the bytes before and behind must stay.
  package mutating func blendLines() {
    var random = SplitMix(state: 5)
    func noise(_ random: inout SplitMix) -> [UInt8] { (0..<200).map { _ in random.byte() } }
    for count in 0...100 {
      for shift in [0, 1, 7, 16] {
        let before = noise(&random)
        let (colors, shares) = (noise(&random), noise(&random))
        var (fast, wanted) = (before, before)
        fast.withUnsafeMutableBufferPointer { target in
          colors.withUnsafeBufferPointer { color in
            shares.withUnsafeBufferPointer { share in
              if let target = target.baseAddress, let color = color.baseAddress, let share = share.baseAddress {
                mpifs_blend(target + 40 + shift, color + shift, share + 3, count)
              }
            }
          }
        }
        for index in 0..<count {
          let (below, share) = (Int(before[40 + shift + index]), Int(shares[3 + index]))
          let sum = below * (255 - share) + Int(colors[shift + index]) * share
          wanted[40 + shift + index] = UInt8((sum * 2 + 255) / 510)
        }
        note(fast == wanted, "blend, lines", "\(count) bytes, \(shift) further on")
      }
    }
  }

  private mutating func note(_ isRight: Bool, _ kernel: String, _ what: @autoclosure () -> String) {
    seen[kernel, default: 0] += 1
    if !isRight { different.append("\(kernel): \(what())") }
  }
}

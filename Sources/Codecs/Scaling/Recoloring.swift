// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// Turns samples of one matrix and range into those of another, in place, 4:2:0 pictures of 8 bit.
///
/// Gray is gray in every matrix, so that luma goes into colour differences nowhere: each new one is made of the two old ones, and
/// luma has a part of both added. In fixed point; half a step off at most.
struct Recoloring: Equatable {
  private static let shift: Int32 = 14
  private static let half: Int32 = 1 << 13

  let source: ColorDescription
  let target: ColorDescription
  /// Of luma: what it is multiplied by, what is added of blue's and red's difference, and at last.
  private let luma: (scale: Int32, blue: Int32, red: Int32, offset: Int32)
  /// Of the two differences: what the old two are multiplied by.
  private let blue: (Int32, Int32)
  private let red: (Int32, Int32)

  /// - Returns: `nil` where samples are the same in both.
  init?(from source: ColorDescription, to target: ColorDescription) {
    guard !source.hasSameSamples(as: target) else { return nil }
    self.source = source
    self.target = target
    let (a, b) = (source.matrix.weights, target.matrix.weights)
    let green = 1 - a.red - a.blue
    // Red, green and blue of one step of each difference, at no luma.
    let (redOfRed, blueOfBlue) = (2 * (1 - a.red), 2 * (1 - a.blue))
    let (greenOfRed, greenOfBlue) = (-a.red * redOfRed / green, -a.blue * blueOfBlue / green)
    let newGreen = 1 - b.red - b.blue
    let lumaOfRed = b.red * redOfRed + newGreen * greenOfRed
    let lumaOfBlue = b.blue * blueOfBlue + newGreen * greenOfBlue
    let (from, to) = (source.steps, target.steps)
    func fixed(_ value: Double) -> Int32 { Int32((value * Double(1 << Recoloring.shift)).rounded()) }
    let scale = to.luma / from.luma
    let (ofDifference, ofLuma) = (to.difference / from.difference, to.luma / from.difference)
    luma = (
      fixed(scale), fixed(lumaOfBlue * ofLuma), fixed(lumaOfRed * ofLuma),
      fixed(to.black - from.black * scale) + Recoloring.half
    )
    blue = (
      fixed((blueOfBlue - lumaOfBlue) / (2 * (1 - b.blue)) * ofDifference),
      fixed(-lumaOfRed / (2 * (1 - b.blue)) * ofDifference)
    )
    red = (
      fixed(-lumaOfBlue / (2 * (1 - b.red)) * ofDifference),
      fixed((redOfRed - lumaOfRed) / (2 * (1 - b.red)) * ofDifference)
    )
  }

  static func == (a: Recoloring, b: Recoloring) -> Bool { a.source == b.source && a.target == b.target }

  /// - Parameters:
  ///   - p: I420, NV12 or NV21.
  ///   - scratch: for what each line of colour differences adds to luma.
  /// - Returns: bytes of pixels written.
  func apply(to p: Pixels, _ scratch: inout Scratch) throws(Failure) -> Int {
    let width = p.chromaWidth
    let added = try scratch.plane(bytes: width * 8, lines: 1)
    let isPlanar = p.format == .i420
    let step = isPlanar ? 1 : 2
    UnsafeMutableRawPointer(added.base).withMemoryRebound(to: Int32.self, capacity: width * 2) { added in
      for row in 0..<p.chromaHeight {
        let first = p.plane1.base + row * Int(p.plane1.stride)
        let second = isPlanar ? p.plane2.base + row * Int(p.plane2.stride) : first + 1
        let isSwapped = p.format == .nv21
        differences(isSwapped ? second : first, isSwapped ? first : second, step, width, added)
        for line in row * 2..<min(p.height, row * 2 + 2) {
          brightness(p.plane0.base + line * Int(p.plane0.stride), p.width, added)
        }
      }
    }
    return PlaneExtent.byteCount(p.format, width: p.width, height: p.height)
  }

  private func differences(
    _ b: UnsafeMutablePointer<UInt8>, _ r: UnsafeMutablePointer<UInt8>, _ step: Int, _ width: Int,
    _ added: UnsafeMutablePointer<Int32>
  ) {
    let middle = (128 << Recoloring.shift) &+ Recoloring.half
    let (blue, red, luma) = (blue, red, luma)
    for x in 0..<width {
      let cb = Int32(b[x &* step]) &- 128
      let cr = Int32(r[x &* step]) &- 128
      let more = luma.blue &* cb &+ luma.red &* cr &+ luma.offset
      added[x &* 2] = more
      added[x &* 2 &+ 1] = more
      b[x &* step] = Recoloring.clamped((blue.0 &* cb &+ blue.1 &* cr &+ middle) >> Recoloring.shift)
      r[x &* step] = Recoloring.clamped((red.0 &* cb &+ red.1 &* cr &+ middle) >> Recoloring.shift)
    }
  }

  private func brightness(_ y: UnsafeMutablePointer<UInt8>, _ width: Int, _ added: UnsafeMutablePointer<Int32>) {
    let scale = luma.scale
    for x in 0..<width {
      y[x] = Recoloring.clamped((scale &* Int32(y[x]) &+ added[x]) >> Recoloring.shift)
    }
  }

  @inline(__always) private static func clamped(_ value: Int32) -> UInt8 {
    UInt8(truncatingIfNeeded: min(255, max(0, value)))
  }
}

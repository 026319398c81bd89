// SPDX-License-Identifier: Apache-2.0
import Codecs
import Devices
import Glibc
import MediaCore

/// A picture in memory of its own, as this project's frames and as what the C libraries take.
struct ScaledPicture: ~Copyable {
  let layout: FrameLayout
  var frame: Frame
  let base: UnsafeMutablePointer<UInt8>

  init(_ format: PixelFormat, _ width: Int, _ height: Int) throws(BenchError) {
    guard let layout = FrameLayout(format, width: width, height: height) else { throw BenchError("no such picture") }
    let frame = try Self.frame(layout)
    let memory = frame.buffer.memory
    do throws(Failure) {
      base = try memory.map().assumingMemoryBound(to: UInt8.self)
    } catch {
      throw BenchError("\(error)")
    }
    self.layout = layout
    self.frame = frame
  }

  private static func frame(_ layout: FrameLayout) throws(BenchError) -> Frame {
    do throws(Failure) {
      let pool = try Pool(name: "scale", size: layout.byteCount, count: 1, allocator: MemfdAllocator())
      guard let buffer = pool.take(as: .anonymous) else { throw Failure(.noMemory, "take", on: "pool") }
      return Frame(buffer, layout: layout, pts: 0, sequence: 0, stamps: FrameStamps())
    } catch {
      throw BenchError("\(error)")
    }
  }

  var width: CInt { CInt(layout.width) }
  var height: CInt { CInt(layout.height) }

  /// A plane's first byte.
  func plane(_ number: Int) -> UnsafeMutablePointer<UInt8> {
    base + Int([layout.plane0, layout.plane1, layout.plane2][number].offset)
  }
  func stride(_ number: Int) -> CInt { [layout.plane0, layout.plane1, layout.plane2][number].stride }

  /// Luma, line after line.
  var luma: [Double] {
    (0..<Int(height)).flatMap { line in
      (0..<Int(width)).map { Double(plane(0)[line * Int(stride(0)) + $0]) }
    }
  }
}

/// What scaled luma is held against: the mean of what a sample covers where an axis shrinks, between the two nearest where it grows, in
/// numbers that are not rounded.
enum ExactScaling {
  static func scaled(_ luma: [Double], _ width: Int, _ height: Int, to newWidth: Int, _ newHeight: Int) -> [Double] {
    let across = weights(width, newWidth)
    let down = weights(height, newHeight)
    var lines = [Double](repeating: 0, count: newWidth * height)
    for line in 0..<height {
      for column in 0..<newWidth {
        lines[line * newWidth + column] = across[column].reduce(0) { $0 + luma[line * width + $1.at] * $1.weight }
      }
    }
    var made = [Double](repeating: 0, count: newWidth * newHeight)
    for line in 0..<newHeight {
      for (at, weight) in down[line] {
        for column in 0..<newWidth { made[line * newWidth + column] += lines[at * newWidth + column] * weight }
      }
    }
    return made
  }

  private static func weights(_ count: Int, _ newCount: Int) -> [[(at: Int, weight: Double)]] {
    let ratio = Double(count) / Double(newCount)
    return (0..<newCount).map { place in
      if newCount < count {
        let (begin, end) = (Double(place) * ratio, Double(place + 1) * ratio)
        return (Int(begin)..<min(count, Int(end.rounded(.up)))).map { at in
          (at, (min(end, Double(at + 1)) - max(begin, Double(at))) / ratio)
        }
      }
      let middle = min(Double(count - 1), max(0, (Double(place) + 0.5) * ratio - 0.5))
      let first = Int(middle)
      return [(first, 1 - middle + Double(first)), (min(count - 1, first + 1), middle - Double(first))]
    }
  }

  /// Peak signal to noise, in dB.
  static func decibels(_ found: [Double], _ exact: [Double]) -> Double {
    let squares = zip(found, exact).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    return squares == 0 ? 99 : 10 * log10(255 * 255 * Double(found.count) / squares)
  }
}

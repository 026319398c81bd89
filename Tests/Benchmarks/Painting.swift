// SPDX-License-Identifier: Apache-2.0
import Codecs
import Devices
import Glibc
import MediaCore

/// What drawing regions into a picture of 1080p costs, on the calling thread, in NV12 and I420: the middle of `--frames N` drawings.
/// Pictures take turns, so that none is warm from the last one.
enum Painting {
  /// Pictures that take turns: more than caches near the core hold.
  private static let pictures = 4

  static func run(_ options: Options) throws(BenchError) {
    let frames = try options.count("--frames", 2000)
    do throws(Failure) {
      for format in [PixelFormat.nv12, .i420] {
        let probe = try PaintProbe(format, width: 1920, height: 1080, pictures: pictures)
        for (name, drawings) in try workloads() {
          let (paint, prepare) = try probe.run(drawings, frames: frames)
          report("paint.\(format).\(name)", paint, "us")
          if format == .nv12 { report("paint.prepare.\(name)", prepare, "us") }
        }
      }
      try text()
    } catch {
      throw BenchError("\(error)")
    }
  }

  /// A canvas that is blended everywhere: the worst there is.
  private static func canvas(_ width: Int, _ height: Int) throws(Failure) -> CanvasPixels {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(width * height * 4)
    for index in 0..<width * height {
      for channel in 0..<3 { bytes.append(UInt8(truncatingIfNeeded: index &* (channel + 3) >> 2)) }
      bytes.append(UInt8(1 + index % 254))
    }
    guard let canvas = CanvasPixels(width: width, height: height, bytes: bytes) else {
      throw Failure(.invalidArgument, "make", on: "canvas")
    }
    return canvas
  }

  private static func workloads() throws(Failure) -> [(name: String, drawings: [PlacedDrawing])] {
    let overlay = Drawing.canvas(try canvas(640, 128), alpha: 255)
    let color = PaintColor(red: 40, green: 90, blue: 200)
    let eight = (0..<8).map { PlacedDrawing(overlay, x: 64 + $0 % 2 * 900, y: 40 + $0 / 2 * 250, layer: $0) }
    let line = TextStyle(size: 48, color: PaintColor(red: 255, green: 255, blue: 255))
    let clock = try FreeTypeText().render("2026-11-29 12:34:56", line, limit: 1 << 20)
    return [
      ("overlay_640x128", [PlacedDrawing(overlay, x: 640, y: 400, layer: 0)]), ("overlays_8", eight),
      ("clock_48", [PlacedDrawing(.canvas(clock, alpha: 255), x: 64, y: 40, layer: 0)]),
      (
        "cover_960x540",
        [PlacedDrawing(.cover(width: 960, height: 540, color: color, thickness: nil), x: 480, y: 270, layer: 0)]
      ),
      (
        "frame_960x540",
        [PlacedDrawing(.cover(width: 960, height: 540, color: color, thickness: 4), x: 480, y: 270, layer: 0)]
      ),
    ]
      + [8, 16, 32, 64].map { block in
        (
          "mosaic_960x540_\(block)",
          [PlacedDrawing(.mosaic(width: 960, height: 540, block: block), x: 480, y: 270, layer: 0)]
        )
      }
  }

  /// A clock that is drawn anew each second.
  private static func text() throws(Failure) {
    let text = FreeTypeText()
    let (white, black) = (PaintColor(red: 255, green: 255, blue: 255), PaintColor(red: 0, green: 0, blue: 0))
    for (name, outline) in [("plain", nil), ("outlined", black)] {
      let style = TextStyle(size: 48, color: white, outline: outline)
      var samples = Samples()
      for second in 0..<200 {
        let start = now()
        _ = try text.render("2026-11-29 12:\(10 + second / 60):\(10 + second % 50)", style, limit: 1 << 22)
        samples.append(Double(now() - start) / 1000)
      }
      report("paint.text_48_\(name)", samples.median, "us")
    }
  }
}

/// Pictures to draw into.
private struct PaintProbe {
  private let frames: [PaintTarget]
  private let layout: FrameLayout

  init(_ format: PixelFormat, width: Int, height: Int, pictures: Int) throws(Failure) {
    guard let layout = FrameLayout(format, width: width, height: height) else {
      throw Failure(.invalidArgument, "make", on: "frame")
    }
    self.layout = layout
    let pool = try Pool(name: "bench", size: layout.byteCount, count: pictures, allocator: MemfdAllocator())
    var made: [PaintTarget] = []
    for _ in 0..<pictures { made.append(try PaintTarget(pool, layout)) }
    frames = made
  }

  /// - Returns: microseconds to draw into a picture, and to prepare it; the middle of all.
  func run(_ drawings: [PlacedDrawing], frames count: Int) throws(Failure) -> (paint: Double, prepare: Double) {
    let painter = RegionPainter()
    var preparing = Samples()
    var prepared: (any PreparedDrawings)?
    for _ in 0..<10 {
      let start = now()
      prepared = try painter.prepare(drawings, for: layout)
      preparing.append(Double(now() - start) / 1000)
    }
    var painting = Samples()
    painting.reserve(count)
    for number in 0..<count {
      let target = frames[number % frames.count]
      let start = now()
      _ = try prepared?.paint(on: target.frame)
      painting.append(Double(now() - start) / 1000)
    }
    return (painting.median, preparing.median)
  }
}

/// A frame in a class, since frames cannot be copied.
private final class PaintTarget {
  let frame: Frame

  init(_ pool: Pool, _ layout: FrameLayout) throws(Failure) {
    guard let reference = pool.take(as: .anonymous) else { throw Failure(.noMemory, "take", on: "pool") }
    frame = Frame(reference, layout: layout, pts: 0, sequence: 0, stamps: FrameStamps())
    // Touched once, so that the first drawing pays for no page.
    memset(try frame.buffer.memory.map(), 90, layout.byteCount)
  }
}

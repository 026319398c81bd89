// SPDX-License-Identifier: Apache-2.0
import Base
import Devices
import Foundation
import MediaCore
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// Draws into luma alone: a cover its red, a mosaic 77, a bitmap the blue of its first pixel.
final class ScriptedPainter: Painter {
  let engine = "fake brush 1"
  let formats: [PixelFormat] = [.i420]
  /// Shut: it cannot draw.
  let refuses = GateBox()
  let prepared = Atomic<Int>(0)
  let painted = Atomic<Int>(0)

  func prepare(_ placed: [PlacedDrawing], for layout: FrameLayout) throws(Failure) -> any PreparedDrawings {
    prepared.add(1, ordering: .relaxed)
    if refuses.isShut { throw Failure(.notSupported, "paint", on: "fake", "no brush for \(layout.format)") }
    return ScriptedDrawings(placed, layout, self)
  }
}

private final class ScriptedDrawings: PreparedDrawings {
  let layout: FrameLayout
  let isEmpty: Bool
  private let rectangles: [(area: Rectangle, value: UInt8)]
  private let painter: ScriptedPainter

  init(_ placed: [PlacedDrawing], _ layout: FrameLayout, _ painter: ScriptedPainter) {
    self.layout = layout
    self.painter = painter
    rectangles = placed.compactMap { placed in
      let (width, height, value): (Int, Int, UInt8)
      switch placed.drawing {
      case .canvas(let canvas, _): (width, height, value) = (canvas.width, canvas.height, canvas.bytes[0])
      case .cover(let wide, let high, let color, _): (width, height, value) = (wide, high, color.red)
      case .mosaic(let wide, let high, _): (width, height, value) = (wide, high, 77)
      case .quadrangle, .line: (width, height, value) = (1, 1, 99)
      }
      let (left, top) = (max(0, placed.x), max(0, placed.y))
      let right = min(Int(layout.width), placed.x + width)
      let bottom = min(Int(layout.height), placed.y + height)
      guard right > left, bottom > top else { return nil }
      return (Rectangle(x: left, y: top, width: right - left, height: bottom - top), value)
    }
    isEmpty = rectangles.isEmpty
  }

  func paint(on frame: borrowing Frame) throws(Failure) -> Int {
    guard frame.layout == layout else { throw Failure(.invalidArgument, "paint", on: "fake") }
    let base = try frame.buffer.memory.map()
    var written = 0
    for (area, value) in rectangles {
      for line in area.y..<(area.y + area.height) {
        memset(base + Int(layout.plane0.offset) + line * Int(layout.plane0.stride) + area.x, CInt(value), area.width)
      }
      written += area.width * area.height
    }
    painter.painted.add(1, ordering: .relaxed)
    return written
  }
}

/// Takes for a picture file what begins with `PIC`, a width and a height; all of its pixels are the byte after.
struct ScriptedPictureReader: PictureFileReader {
  let format = "PIC"
  func recognises(_ bytes: [UInt8]) -> Bool { bytes.starts(with: Array("PIC".utf8)) }
  func read(_ bytes: [UInt8], limit: Int) throws(Failure) -> CanvasPixels {
    guard bytes.count == 6,
      let made = CanvasPixels(
        width: Int(bytes[3]), height: Int(bytes[4]),
        bytes: [UInt8](repeating: bytes[5], count: Int(bytes[3]) * Int(bytes[4]) * 4))
    else { throw Failure(.illegalByteSequence, "read", on: "picture", "is cut off") }
    return made
  }
}

/// A letter is a square of the line's height, of the text's length.
final class ScriptedText: TextRenderer {
  let engine = "fake pen 1"
  static let rendered = Atomic<Int>(0)
  func render(_ text: String, _ style: TextStyle, limit: Int) throws(Failure) -> CanvasPixels {
    guard text != "nothing" else { throw Failure(.noSuchFileOrDirectory, "font", on: "fake", "there is none") }
    let width = max(1, text.utf8.count) * style.size
    guard
      let made = CanvasPixels(
        width: width, height: style.size,
        bytes: [UInt8](repeating: style.color.blue, count: width * style.size * 4))
    else { throw Failure(.fileTooLarge, "text", on: "fake") }
    return made
  }
}

/// A runtime with fakes, in which everything goes through transactions.
final class RegionStudio: Studio, Sendable {
  let painter = ScriptedPainter()
  let source: ScriptedSourceFactory
  let encoder = ScriptedEncoderFactory()
  let logs = RuntimeLogs()
  let graph: MediaGraph
  let runtime: Runtime
  private let pixels = Mutex<[UInt8]>([])

  init(_ script: ScriptedSource.Script = ScriptedSource.Script(), workers: Int = 3) throws {
    source = ScriptedSourceFactory(script: script)
    let catalogue = EngineCatalogue(
      encoders: [encoder], scalers: [ScriptedScalerFactory()], sources: [source],
      picture: { () throws(Failure) in ScriptedPictureEncoder() }, painter: painter,
      pictureReaders: [ScriptedPictureReader()], textRenderer: { () throws(Failure) in ScriptedText() })
    let registry = EngineRegistry(catalogue)
    graph = try MediaGraph(
      registry: registry, allocator: MemfdAllocator(), options: GraphOptions(workers: workers).patient, listener: logs)
    runtime = try Runtime(registry: registry, graph: graph, logs: logs, options: .patient)
  }

  func end() {
    source.gate.open()
    shutDown()
  }

  func create(_ path: String) -> Refusal? { apply(.create(Bench.path(path))) }
  func remove(_ path: String) -> Refusal? { apply(.remove(Bench.path(path))) }

  func write(_ region: String, _ bytes: [UInt8]) {
    graph.take(bytes, for: Bench.path(region), "bitmap")
    settle()
  }

  /// Until everything that was asked for is drawn.
  func settle() { #expect(graph.environment.workbench.settle(until: Clock.now() + .seconds(Int64(patience)))) }

  func count(_ path: String, _ key: String) -> Int {
    guard let state = graph.objectState(path) else { return -1 }
    let all = state.statistics.statistics + state.moreStatistics
    return Int(all.first { $0.key == key }?.value ?? -1)
  }

  /// The luma at a place of the next picture that passes an object.
  func luma(_ path: String, x: Int = 0, y: Int = 0) throws -> UInt8 {
    let found = Mutex<UInt8?>(nil)
    let tap = try #require(graph.object(Bench.path(path))).tap
    #expect(tap.request(.jpeg) { frame in found.withLock { $0 = Self.luma(frame, x: x, y: y) } })
    #expect(eventually { found.withLock { $0 } != nil })
    return try #require(found.withLock { $0 })
  }

  static func luma(_ frame: borrowing Frame, x: Int, y: Int) -> UInt8? {
    guard let base = try? frame.buffer.memory.map() else { return nil }
    let plane = frame.layout.plane0
    return base.load(fromByteOffset: Int(plane.offset) + y * Int(plane.stride) + x, as: UInt8.self)
  }

  /// vi/0 -> vpss/0 -> (0: passed on, 1: scaled) -> venc/0, venc/1; and vi/0 -> venc/2.
  static let pipeline = """
    vi/0/enable = 1
    vpss/0/source = vi/0
    vpss/0/enable = 1
    vpss/0/0/width = 64
    vpss/0/0/height = 48
    vpss/0/0/enable = 1
    vpss/0/1/width = 32
    vpss/0/1/height = 32
    vpss/0/1/enable = 1
    venc/0/source = vpss/0/0
    venc/0/enable = 1
    venc/1/source = vpss/0/1
    venc/1/enable = 1
    venc/2/source = vi/0
    venc/2/enable = 1

    """
}

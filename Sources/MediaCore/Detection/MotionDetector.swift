// SPDX-License-Identifier: Apache-2.0

/// Finds what moves in small pictures, and whether the lens is covered. Luma alone, in blocks.
///
/// A block's difference from the background is the mean over its samples, after the change of brightness that all of the picture shares is
/// taken off it: a lamp that is dimmed moves nothing. A quarter of the blocks at least shows what noise makes of a difference, so that is
/// taken off too. Against a background of large weight a thing is seen whole, against the picture before its edges alone.
///
/// The lens is covered where blocks that had detail have lost it: a camera that is turned elsewhere, or a room that gets darker, keeps
/// most of it. Serial use by its owner.
public struct MotionDetector: Sendable {
  public private(set) var settings: MotionSettings
  public let width: Int
  public let height: Int
  private let columns: Int
  private let rows: Int

  /// Samples of the background in 8.8 fixed point.
  private var background: [UInt16]
  private var hasBackground = false
  /// Of each block: sum of what it differs by, signed and absolute, and of its detail; samples in it.
  private var signed: [Int32]
  private var absolute: [Int32]
  private var detail: [Int32]
  /// In 24.8 fixed point.
  private var usualDetail: [Int32]
  /// What noise makes of a difference while little moves, in 24.8 fixed point.
  private var usualNoise: Int32 = 0
  private var counts: [Int32]
  private var columnSums: [Int16]
  private var columnEdges: [Int16]
  private var differences: [Int32]
  private var sorted: [Int32]
  private var labels: [Int32]
  private var stack: [Int32] = []
  private var covered = 0
  private var uncovered = 0
  private var isOccluded = false

  /// - Returns: `nil` for pictures smaller than 16x16 or larger than 4096x4096.
  public init?(width: Int, height: Int, _ settings: MotionSettings) {
    guard (16...4096).contains(width), (16...4096).contains(height) else { return nil }
    self.settings = settings
    (self.width, self.height) = (width, height)
    columns = (width + settings.block - 1) / settings.block
    rows = (height + settings.block - 1) / settings.block
    let blocks = columns * rows
    background = [UInt16](repeating: 0, count: width * height)
    let empty = [Int32](repeating: 0, count: blocks)
    (signed, absolute, detail, usualDetail, differences) = (empty, empty, empty, empty, empty)
    (sorted, labels) = (empty, empty)
    columnSums = [Int16](repeating: 0, count: width)
    columnEdges = columnSums
    let (block, columns) = (settings.block, columns)
    counts = (0..<blocks).map { index in
      Int32(min(block, width - index % columns * block) * min(block, height - index / columns * block))
    }
    stack.reserveCapacity(blocks)
  }

  /// Takes other settings; what was learned stays where the blocks do.
  /// - Returns: false where it has to be made anew.
  public mutating func change(_ new: MotionSettings) -> Bool {
    guard new.block == settings.block, new.algorithm == settings.algorithm else { return false }
    settings = new
    return true
  }

  /// Looks at the next picture.
  /// - Parameters:
  ///   - luma: the plane's first sample; `stride` bytes from line to line.
  ///   - findings: filled anew; its list of objects keeps its memory.
  public mutating func look(
    at luma: UnsafePointer<UInt8>, stride: Int, pts: Int64, into findings: inout MotionFindings
  ) {
    findings.pts = pts
    findings.blocks = columns * rows
    findings.objects.removeAll(keepingCapacity: true)
    (findings.alarmBlocks, findings.alarmPixels, findings.largest, findings.noise) = (0, 0, 0, 0)
    compare(luma, stride)
    if hasBackground { judgeMotion(&findings) }
    hasBackground = true
    judgeCover(&findings)
    findings.isOccluded = isOccluded
  }

  // MARK: samples

  /// Sums up each block, and takes the picture into the background. Two passes: the change of brightness that all of the picture shares is
  /// known only after the first.
  ///
  /// Sums of columns come first, over the lines of a row of blocks: loops over whole lines are what compilers make vector instructions of, and
  /// 16 lines of 8 bits fit 16 bits.
  private mutating func compare(_ luma: UnsafePointer<UInt8>, _ stride: Int) {
    for y in Swift.stride(from: 0, to: height, by: settings.block) {
      let lines = y..<min(height, y + settings.block)
      sumColumns(luma, stride, lines)
      Self.collect(columnSums, into: &signed, y / settings.block * columns, settings.block)
      Self.collect(columnEdges, into: &detail, y / settings.block * columns, settings.block)
    }
    let shared = hasBackground ? Int16(truncatingIfNeeded: median(of: signed)) : 0
    // What is new of a background counts so many parts of 256; a reference picture is replaced whole.
    let fresh = hasBackground && settings.algorithm == .background ? 256 - settings.backgroundWeight : 256
    for y in Swift.stride(from: 0, to: height, by: settings.block) {
      let lines = y..<min(height, y + settings.block)
      differColumns(luma, stride, lines, shared, Int32(fresh))
      Self.collect(columnSums, into: &absolute, y / settings.block * columns, settings.block)
    }
  }

  private mutating func sumColumns(_ luma: UnsafePointer<UInt8>, _ stride: Int, _ lines: Range<Int>) {
    let width = width
    columnSums.withUnsafeMutableBufferPointer { sums in
      columnEdges.withUnsafeMutableBufferPointer { edges in
        background.withUnsafeBufferPointer { background in
          let sums = sums.baseAddress.unsafelyUnwrapped
          let edges = edges.baseAddress.unsafelyUnwrapped
          for x in 0..<width { (sums[x], edges[x]) = (0, 0) }
          for y in lines {
            let line = luma + y * stride
            let old = background.baseAddress.unsafelyUnwrapped + y * width
            for x in 0..<width {
              sums[x] &+= Int16(truncatingIfNeeded: line[x]) &- Int16(truncatingIfNeeded: old[x] >> 8)
            }
            // The last sample of a line has no neighbour.
            for x in 0..<width - 1 {
              let step = Int16(truncatingIfNeeded: line[x + 1]) &- Int16(truncatingIfNeeded: line[x])
              edges[x] &+= max(step, 0 &- step)
            }
          }
        }
      }
    }
  }

  private mutating func differColumns(
    _ luma: UnsafePointer<UInt8>, _ stride: Int, _ lines: Range<Int>, _ shared: Int16, _ fresh: Int32
  ) {
    let width = width
    columnSums.withUnsafeMutableBufferPointer { sums in
      background.withUnsafeMutableBufferPointer { background in
        let sums = sums.baseAddress.unsafelyUnwrapped
        for x in 0..<width { sums[x] = 0 }
        for y in lines {
          let line = luma + y * stride
          let old = background.baseAddress.unsafelyUnwrapped + y * width
          for x in 0..<width {
            let step = Int16(truncatingIfNeeded: line[x]) &- Int16(truncatingIfNeeded: old[x] >> 8) &- shared
            sums[x] &+= max(step, 0 &- step)
          }
          for x in 0..<width {
            let (now, before) = (Int32(line[x]), Int32(old[x]))
            old[x] = UInt16(truncatingIfNeeded: before &+ (((now << 8) &- before) &* fresh) >> 8)
          }
        }
      }
    }
  }

  private static func collect(_ columns: [Int16], into sums: inout [Int32], _ first: Int, _ block: Int) {
    var index = first
    for start in Swift.stride(from: 0, to: columns.count, by: block) {
      var total = Int32(0)
      for x in start..<min(columns.count, start + block) { total &+= Int32(columns[x]) }
      sums[index] = total
      index += 1
    }
  }

  /// The median over blocks of their mean per sample.
  private mutating func median(of sums: [Int32]) -> Int32 {
    for index in sums.indices {
      let (sum, count) = (sums[index], counts[index])
      sorted[index] = (sum + (sum < 0 ? -count / 2 : count / 2)) / count
    }
    sorted.sort()
    return sorted[sorted.count / 2]
  }

  // MARK: motion

  private mutating func judgeMotion(_ findings: inout MotionFindings) {
    for index in absolute.indices {
      differences[index] = absolute[index] * 16 / counts[index]
      sorted[index] = differences[index]
    }
    sorted.sort()
    let noise = sorted[sorted.count / 4]
    findings.noise = Int(noise)
    findings.largest = Int(max(0, (sorted.last ?? 0) - noise))
    for index in differences.indices {
      let isAlarm = differences[index] - noise > Int32(settings.threshold)
      labels[index] = isAlarm ? -1 : 0
      guard isAlarm else { continue }
      findings.alarmBlocks += 1
      findings.alarmPixels += Int(counts[index])
    }
    // Upwards slowly: a picture that is covered whole differs in all its blocks alike for a moment.
    if findings.alarmBlocks * 4 < findings.blocks { usualNoise += min(16, ((noise << 8) - usualNoise) / 8) }
    if findings.alarmBlocks > 0 { collectObjects(&findings) }
  }

  /// Blocks that touch each other, also at a corner, are one object.
  private mutating func collectObjects(_ findings: inout MotionFindings) {
    let block = settings.block
    for first in labels.indices where labels[first] == -1 {
      var (left, top, right, bottom) = (columns, rows, 0, 0)
      var count = 0
      labels[first] = 1
      stack.append(Int32(first))
      while let next = stack.popLast() {
        let (x, y) = (Int(next) % columns, Int(next) / columns)
        (left, top, right, bottom) = (min(left, x), min(top, y), max(right, x), max(bottom, y))
        count += 1
        for row in max(0, y - 1)...min(rows - 1, y + 1) {
          for column in max(0, x - 1)...min(columns - 1, x + 1) where labels[row * columns + column] == -1 {
            labels[row * columns + column] = 1
            stack.append(Int32(row * columns + column))
          }
        }
      }
      let area = Rectangle(
        x: left * block, y: top * block, width: min(width, (right + 1) * block) - left * block,
        height: min(height, (bottom + 1) * block) - top * block)
      findings.objects.append(MotionFindings.Object(area: area, blocks: count))
    }
    // Stable: of two of one size the one further up comes first.
    findings.objects.sort {
      $0.blocks > $1.blocks || $0.blocks == $1.blocks && ($0.area.y, $0.area.x) < ($1.area.y, $1.area.x)
    }
    if findings.objects.count > settings.mostObjects {
      findings.objects.removeLast(findings.objects.count - settings.mostObjects)
    }
  }

  // MARK: occlusion

  /// Mean difference of neighbours, of 16 samples, from which a block has detail.
  private static let leastDetail: Int32 = 48
  /// Blocks of a hundred that must have some, or nothing can be told.
  private static let leastBlocks = 10

  /// Of two neighbours both are noisy, of a sample and its background one is: the root of two, and a little more.
  private var detailOfNoise: Int32 { usualNoise * 3 / 2 }

  private func isLost(_ block: Int) -> Bool {
    detail[block] - detailOfNoise < (usualDetail[block] - detailOfNoise) / 4
  }

  private mutating func judgeCover(_ findings: inout MotionFindings) {
    var (able, lost) = (0, 0)
    for index in detail.indices {
      detail[index] = (detail[index] * 16 / counts[index]) << 8
      guard usualDetail[index] - detailOfNoise >= Self.leastDetail << 8 else { continue }
      able += 1
      if isLost(index) { lost += 1 }
    }
    let canTell = able * 100 >= findings.blocks * Self.leastBlocks
    findings.coveredPercent = canTell ? lost * 100 / able : nil
    let isCovered = settings.coveredPercent > 0 && canTell && lost * 100 >= able * settings.coveredPercent
    // What is usual is not learned from a covered picture.
    if !isCovered, !isOccluded {
      for index in detail.indices {
        let (usual, now) = (usualDetail[index], detail[index])
        // Slowly, or whoever stands there for a while would be missed as detail; and what is covered more slowly still.
        usualDetail[index] = usual == 0 ? now : usual + (now - usual) / (isLost(index) ? 1024 : 256)
      }
    }
    (covered, uncovered) = isCovered ? (covered + 1, 0) : (0, uncovered + 1)
    if isOccluded {
      if settings.coveredPercent == 0 || uncovered >= settings.uncoveredCount { isOccluded = false }
    } else if isCovered, covered >= settings.coveredCount {
      isOccluded = true
    }
  }
}

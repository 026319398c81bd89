// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore

/// What an encoder channel did, of one moment.
struct EncoderFigures: Sendable, Equatable {
  var pictures: UInt64 = 0
  var keys: UInt64 = 0
  /// Pictures reading can begin at that are no key pictures.
  var recoveryPoints: UInt64 = 0
  var lastQP: Int?
  var lastQuality: Int?
  var lastBytes = 0
  /// Bits a second over the last full window of a second and the one before it.
  var bitsPerSecond: Int?
  var previousBitsPerSecond: Int?
  /// Pictures a second over the last full window.
  var picturesPerSecond: Double = 0
  /// Running means of sizes in bytes.
  var keyBytes: Int?
  var predictedBytes: Int?
  /// Nanoseconds.
  var configureTime: Int64 = 0
  var startGap: Int64 = 0
  var lastStart: Int64 = 0
  var startedAtRealtime: Int64 = 0
  var configureFailed: UInt64 = 0
  var startFailed: UInt64 = 0
  var refused: UInt64 = 0
  /// Of the runtime's own rate control, where it is in use: bits in its window, and pictures after which there were too many.
  var windowBits: Int?
  var overflows: UInt64 = 0
  /// Frames it left out: in all, and one after the other until now.
  var leftOut: UInt64 = 0
  var leftOutInARow = 0
  /// Pictures that were too large: coded again, and kept out of the stream.
  var reencoded: UInt64 = 0
  var discarded: UInt64 = 0
}

/// The counters only an encoder channel has; written by its session's worker.
struct EncoderCounters: ~Copyable, Sendable {
  private let block = CounterBlock(32)
  private static let none = UInt64.max

  init() {
    for index in [2, 3, 5, 6, 9, 10, 25] { block.storeAlone(index, Self.none) }
  }

  deinit { block.free() }

  /// Begins a new stream: windows start anew.
  func restart(realtime: Int64) {
    block.begin()
    block[15] = UInt64(bitPattern: realtime)
    block[16] = 0
    block[17] = 0
    block[18] = 0
    block.end()
  }

  /// Windows close at the first picture later than a second after they were opened, as the vendor's do. They follow the
  /// frames' time stamps, not the moment at which the engine was done, for the figure to be that of the stream.
  /// - Parameter pts: microseconds of CLOCK_MONOTONIC.
  func coded(_ picture: CodedPicture, bytes: Int, pts: Int64, at now: Int64) {
    block.begin()
    block[0] = block[0] &+ 1
    if picture.isKey { block[1] = block[1] &+ 1 }
    if picture.isJoiningPoint, !picture.isKey { block[31] = block[31] &+ 1 }
    block[2] = picture.qp.map { UInt64($0) } ?? Self.none
    block[3] = picture.quality.map { UInt64($0) } ?? Self.none
    block[4] = UInt64(bytes)
    // Mean sizes over about the last eight pictures of the kind.
    let mean = picture.isKey ? 9 : 10
    block[mean] = block[mean] == Self.none ? UInt64(bytes) : (block[mean] &* 7 &+ UInt64(bytes)) / 8
    let opened = Int64(bitPattern: block[16])
    block[8] = UInt64(bitPattern: now)
    let elapsed = RateMarks.streamSpan(
      from: (at: opened, stamp: Int64(bitPattern: block[22])), to: (at: now, stamp: pts))
    if opened == 0 {
      block[16] = UInt64(bitPattern: now)
      block[22] = UInt64(bitPattern: pts)
    } else if elapsed > .seconds(1) {
      let scale = 1e9 / Double(elapsed)
      block[6] = block[5]
      block[5] = UInt64(Double(block[17]) * 8 * scale)
      block[7] = (Double(block[18]) * scale).bitPattern
      block[16] = UInt64(bitPattern: now)
      block[22] = UInt64(bitPattern: pts)
      block[17] = 0
      block[18] = 0
    }
    block[17] = block[17] &+ UInt64(bytes)
    block[18] = block[18] &+ 1
    block.end()
  }

  /// The engine is given a frame.
  func began(at now: Int64, configure: Int64) {
    block.begin()
    let last = Int64(bitPattern: block[13])
    block[12] = last == 0 ? 0 : UInt64(bitPattern: now &- last)
    block[13] = UInt64(bitPattern: now)
    block[11] = UInt64(bitPattern: configure)
    block.end()
  }

  func controlled(_ status: RateStatus) {
    block.begin()
    block[25] = UInt64(max(0, status.level))
    block[26] = status.overflows
    block[28] = 0
    block.end()
  }

  /// The rate control left a frame out.
  func leftOut() {
    block.begin()
    block[27] = block[27] &+ 1
    block[28] = block[28] &+ 1
    block.end()
  }

  /// A picture was too large for the stream.
  func takenBack(_ fate: PictureFate) { count(fate == .discarded ? 30 : 29) }

  /// Frames it has left out so far.
  var framesLeftOut: UInt64 { block.read { $0[27] } }

  func configureFailed() { count(19) }
  func startFailed() { count(20) }
  func refused() { count(21) }

  private func count(_ index: Int) {
    block.begin()
    block[index] = block[index] &+ 1
    block.end()
  }

  /// Whether the stream has stopped: no picture has come for so long that the last window tells nothing of now.
  private func isSilent(_ block: CounterBlock, at now: Int64) -> Bool {
    let opened = Int64(bitPattern: block[16])
    let last = Int64(bitPattern: block[8])
    let rate = Double(bitPattern: block[7])
    // A window is as long as it takes to the first picture after a second, and that one may come late as long as others do.
    return opened == 0 || rate <= 0 || (Double(now &- opened) > 1e9 + 2e9 / rate && Double(now &- last) > 2e9 / rate)
  }

  /// - Parameter now: rates are 0 where nothing came lately.
  func figures(at now: Int64 = Clock.now()) -> EncoderFigures {
    block.read { block in
      func known(_ index: Int) -> Int? { block[index] == Self.none ? nil : Int(clamping: block[index]) }
      var figures = EncoderFigures()
      figures.pictures = block[0]
      figures.keys = block[1]
      figures.recoveryPoints = block[31]
      figures.lastQP = known(2)
      figures.lastQuality = known(3)
      figures.lastBytes = Int(clamping: block[4])
      figures.bitsPerSecond = known(5)
      figures.previousBitsPerSecond = known(6)
      figures.picturesPerSecond = Double(bitPattern: block[7])
      if isSilent(block, at: now) {
        figures.picturesPerSecond = 0
        if figures.bitsPerSecond != nil { figures.bitsPerSecond = 0 }
      }
      figures.keyBytes = known(9)
      figures.predictedBytes = known(10)
      figures.configureTime = Int64(bitPattern: block[11])
      figures.startGap = Int64(bitPattern: block[12])
      figures.lastStart = Int64(bitPattern: block[13])
      figures.startedAtRealtime = Int64(bitPattern: block[15])
      figures.configureFailed = block[19]
      figures.startFailed = block[20]
      figures.refused = block[21]
      figures.windowBits = known(25)
      figures.overflows = block[26]
      figures.leftOut = block[27]
      figures.leftOutInARow = Int(clamping: block[28])
      figures.reencoded = block[29]
      figures.discarded = block[30]
      return figures
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// What `pace` may be.
enum VdecPaceMode: String, Sendable {
  case auto, realtime, none
}

/// The state of a decoder channel's worker.
struct VdecWork: ~Copyable {
  /// Of the stream that is being decoded; `nil` until something came to find it out by.
  private(set) var codec: Codec?
  /// What the file's container says of the rate.
  var container: FrameRate?
  /// What the channel was told; `nil` to find out.
  let asked: Codec?
  /// Rate of streams that state none.
  let assumed: FrameRate
  var parser: PictureParser?
  /// Of all that has come of this coding: another writer's stream may go on with them.
  var sets: ParameterSets?
  /// The decoder was opened, or begins a stream, or was not given what came last: the next unit brings all the sets it needs.
  var needsSets = true
  var entry = VdecEntry()
  var ledger = UnitLedger()
  /// Pictures the decoder gave that are not due yet.
  let pictures = FrameQueue(depth: 64)
  /// One is held while it waits for its time.
  var waiting = 0
  var pace = FramePace()
  /// Pictures of this file's pass, or of what this writer feeds.
  var picturesOfStream = 0

  /// Units are left out until one that a decoder can start with.
  var waitsForKey = true
  var keyMissed = 0
  /// Something was lost before.
  var isBroken = false
  var failures = 0
  /// Why the last unit that came to nothing did.
  var lastFailure: Failure?
  /// When the bytes taken from `feed` last had come, CLOCK_MONOTONIC nanoseconds.
  var cameAt: Int64?
  var retries = 0
  /// The failure of now stands in `state` and the error log.
  var isReported = false
  /// It is of another writer's stream: what is wrong with this one was not said.
  var isReportOld = false
  /// Calls for the next unit that failed, and passes without a picture, in a row.
  var errors = 0
  /// This pass of the file is over.
  var isOver = false
  /// What the writer of now feeds; `nil` where none has begun.
  var fed: FedStream?
  /// Bytes of the writers before that belonged to no unit.
  var skippedBefore: UInt64 = 0
  /// What was taken from the feed last.
  let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
  /// No turn was taken yet.
  var isFirst = true
  /// The input had run dry, and since then nothing was given to the decoder; or the first unit after that was.
  var hasWaited = false
  var hasResumed = false

  /// A unit that was lost after the decoder had taken it, and whether a key picture is inside after it.
  struct Loss {
    var why: Failure
    var isOver: Bool
  }
  var loss: Loss?
  /// Within a call of the decoder.
  var isAsking = false
  /// Since when the decoder has had something to do, and how long before, nanoseconds.
  private(set) var busySince: Int64?
  private var worked: Int64 = 0

  mutating func busy(at now: Int64) { if busySince == nil { busySince = now } }

  mutating func idle(at now: Int64) {
    worked = worked(until: now)
    busySince = nil
  }

  func worked(until now: Int64) -> Int64 { worked + (busySince.map { now - $0 } ?? 0) }

  private var timeline = PlayTimeline()
  private var isSecondField = false
  private var hasFirstField = false
  private var shownSyntax: StreamSyntax?

  /// Pictures that nobody gets any more. Not inlined: Swift 6.3's optimiser ends with an ownership error where this loop stands in
  /// the thread's own function.
  @inline(never) borrowing func letPicturesGo() {
    while let frame = pictures.pop() { _ = consume frame }
  }

  deinit { bytes.deallocate() }

  init(codec: Codec?, container: FrameRate? = nil, asked: Codec?, assumed: FrameRate) {
    self.codec = codec
    self.container = container
    self.asked = asked
    self.assumed = assumed
    parser = codec.map { PictureParser($0) }
    sets = codec.flatMap { ParameterSets($0) }
  }

  /// Another stream begins: of the same coding it may go on with the parameter sets there are.
  mutating func begin(_ new: Codec?) {
    entry = VdecEntry()
    lastFailure = nil
    if codec == new, parser != nil {
      parser?.restart()
      return
    }
    codec = new
    parser = new.map { PictureParser($0) }
    sets = new.flatMap { ParameterSets($0) }
    needsSets = true
  }

  /// Every picture of this coding stands alone.
  var standsAlone: Bool { codec == .mjpeg }

  struct Reading {
    /// The unit is a picture, or the first field of one.
    var isFrame: Bool
    /// What comes from here on refers to nothing before it.
    var isKey: Bool
    /// A decoder can begin here.
    var isEntry: Bool
    /// It is damaged already, or refers to what is.
    var isHurt: Bool
    var syntaxChanged: Bool
    var picture: PictureInfo
  }

  /// Looks into the headers of a unit.
  mutating func read(_ unit: UnsafeRawBufferPointer) -> Reading {
    let info = parser?.parse(unit) ?? PictureInfo()
    // The second field of a picture comes in a unit of its own; the two are one picture.
    isSecondField = info.isField && hasFirstField
    hasFirstField = info.isField && !isSecondField
    let changed = parser?.syntax != shownSyntax
    if changed { shownSyntax = parser?.syntax }
    let isFrame = codec == .mjpeg || codec == .fwht || info.slices > 0
    if info.bringsParameterSets { sets?.note(unit) }
    return Reading(
      isFrame: isFrame && !isSecondField, isKey: info.isRecoveryPoint && info.isRecovered || standsAlone,
      isEntry: info.isRecoveryPoint || standsAlone, isHurt: isFrame && !standsAlone && entry.hurts(info),
      syntaxChanged: changed, picture: info)
  }

  /// Rate the stream's headers state.
  private var stated: FrameRate? {
    guard let rate = parser?.syntax?.frameRate, (1...240).contains(rate.framesPerSecond) else { return nil }
    return rate
  }

  var statesRate: Bool { container != nil || stated != nil }

  var rate: FrameRate { container ?? stated ?? assumed }

  /// Time of a picture since the first one of the run, microseconds; always later than the one before.
  mutating func time(of unit: UnitLedger.Unit?) -> Int64 {
    timeline.time(
      of: unit?.pts, duration: unit?.duration ?? 0,
      interval: (stated ?? container ?? assumed).intervalNanoseconds / 1000)
  }

  /// The file begins again: its times go on where they were.
  mutating func beginPass() {
    timeline.beginPass()
    parser?.restart()
  }
}

/// What a decoder channel has in use.
struct VdecInUse: Sendable {
  let backend: String
  let engine: String
  let codec: Codec?
  let layout: FrameLayout?
  let syntax: StreamSyntax?
  let memory: String
  let rate: FrameRate
  let why: String
  let remarks: [String]
}

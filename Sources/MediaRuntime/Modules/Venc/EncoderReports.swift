// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

extension VencChannel {
  /// What a report is made of, each part looked up once: a page has 64 channels.
  private struct Facts {
    let coded: EncoderFigures
    let settings: ObjectSettings
    let used: VencInUse?
    let upstream: StreamFormat?
    let codec: Codec
    let isRunning: Bool
    let sourceRate: Int
    let codedRate: Int

    init(_ channel: VencChannel) {
      coded = channel.encoderCounters.figures()
      settings = channel.settings
      used = channel.used
      upstream = channel.node.input.upstream?.format
      codec = used?.configuration.codec ?? settings.text("codec").flatMap(Codec.init) ?? .h264
      isRunning = channel.state.value.isRunning
      sourceRate = settings.integer("fps_src") ?? upstream?.rate.rounded ?? 0
      codedRate =
        VencChannel.codedRate(settings, of: upstream)?.rounded ?? settings.integer("fps_dst") ?? sourceRate
    }
  }

  func encoderReport() -> EncoderReport? {
    let facts = Facts(self)
    let coded = facts.coded
    let ring = ring.figures
    var report = EncoderReport(
      channel: path.number, path: "\(path)", attributes: attributes(facts), syntax: syntax(facts),
      rateControl: rateControl(facts))
    report.status.isRunning = facts.isRunning
    report.status.configureMicroseconds = Int(coded.configureTime / 1000)
    report.status.packetsQueued = ring.waiting
    report.status.packetsTaken = ring.taken
    report.status.startGapMicroseconds = Int(coded.startGap / 1000)
    report.status.lastCombinedStartMicroseconds = coded.startedAtRealtime
    report.status.lastCombinedEndMicroseconds = coded.startedAtRealtime
    report.ring = EncoderRing(ring)
    report.regionsOfInterest = regions(facts)
    let isBusy = session.runningSince != 0
    report.engine.isBusy = isBusy
    report.engine.stage = coded.lastStart == 0 ? .configuring : isBusy ? .started : .finished
    report.engine.packetPoolExhausted = ring.exhausted
    report.engine.ringRefused = ring.refused
    report.engine.configureFailed = coded.configureFailed
    report.engine.startFailed = coded.startFailed
    return report
  }

  private func attributes(_ facts: Facts) -> EncoderAttributes {
    let layout = facts.used?.layout ?? facts.upstream?.layout
    let width = facts.used?.configuration.width ?? Int(layout?.width ?? 0)
    let height = facts.used?.configuration.height ?? Int(layout?.height ?? 0)
    var attributes = EncoderAttributes(codec: facts.codec)
    (attributes.width, attributes.maximumWidth) = (width, width)
    (attributes.height, attributes.maximumHeight) = (height, height)
    attributes.sequence = facts.coded.pictures
    attributes.receivesFrames = facts.isRunning
    attributes.sourceFrameRate = facts.sourceRate
    attributes.targetFrameRate = facts.codedRate
    attributes.startedAtMicroseconds = facts.coded.startedAtRealtime
    attributes.pictureFormat = PictureFormat(layout?.format)
    attributes.measuredFrameRate = facts.coded.picturesPerSecond
    attributes.rotation = facts.settings.integer("rotation") ?? 0
    attributes.isMirrored = facts.settings.flag("mirror")
    (attributes.sliceMode, attributes.sliceSize) = slices(facts)
    if let used = facts.used?.configuration {
      attributes.refreshedColumns = used.refreshesColumns ? used.refreshedColumns : nil
      attributes.gopMode = used.keepsBackground ? .smartP : .normalP
    }
    return attributes
  }

  /// Those the engine is told of.
  private func regions(_ facts: Facts) -> [RegionOfInterest] {
    guard let settings = facts.used?.configuration.settings else { return [] }
    return SettingKey<PictureRegion>.regions.enumerated().compactMap { number, key in
      settings[key].map {
        RegionOfInterest(
          index: number, x: $0.area.x, y: $0.area.y, width: $0.area.width, height: $0.area.height, quality: $0.qp,
          isAbsolute: $0.isAbsolute)
      }
    }
  }

  /// As they are cut, where the engine does that.
  private func slices(_ facts: Facts) -> (EncoderSliceMode, Int) {
    switch facts.used?.configuration.slices {
    case .bytes(let size): (.bytes, size)
    case .rows(let rows): (.blocks, rows * (facts.used?.configuration.macroblockColumns ?? 0))
    case nil, SliceMode.none?: (.none, 0)
    }
  }

  private func syntax(_ facts: Facts) -> EncoderSyntax {
    let seen = syntax.value
    switch facts.codec {
    case .h264:
      var shown = H264Syntax()
      shown.profile = facts.settings.text("profile").flatMap { $0 == "auto" ? nil : $0 }
      guard let seen, seen.codec == .h264 else { return .h264(shown) }
      shown.profile = seen.profileName ?? "unknown"
      shown.cabac = seen.cabac
      shown.transform8x8 = seen.transform8x8
      shown.scalingMatrix = seen.scalingMatrix
      shown.pictureOrderCountType = seen.pictureOrderType
      shown.alphaOffset = seen.deblockingAlpha
      shown.betaOffset = seen.deblockingBeta
      return .h264(shown)
    case .h265:
      var shown = H265Syntax()
      shown.profile = facts.settings.text("profile").flatMap { $0 == "auto" ? nil : $0 }
      guard let seen, seen.codec == .h265 else { return .h265(shown) }
      shown.profile = seen.profileName ?? "unknown"
      shown.deblocking = seen.deblockingDisabled == 0
      shown.tcOffset = seen.deblockingTc
      shown.betaOffset = seen.deblockingBeta
      shown.saoLuma = seen.sampleAdaptiveOffset
      shown.saoChroma = seen.chromaSampleAdaptiveOffset
      shown.strongIntraSmoothing = seen.strongIntraSmoothing
      shown.cbQPOffset = seen.chromaQPOffset
      shown.crQPOffset = seen.crQPOffset
      return .h265(shown)
    case .mjpeg:
      var shown = JPEGSyntax()
      shown.quality = facts.coded.lastQuality ?? facts.settings.integer("quality")
      if let goals = facts.used?.goals {
        shown.minimumQuality = goals.predicted.lowerBound
        shown.maximumQuality = goals.predicted.upperBound
      }
      return .jpeg(shown)
    case .fwht, .vp8: return .other
    }
  }

  /// The rate aimed at; `nil` where the quantiser is fixed.
  func targetBitsPerSecond(_ settings: ObjectSettings) -> Int? {
    settings.text("rc_mode") == RateControlMode.fixqp.rawValue ? nil : settings.integer("bitrate").map { $0 * 1000 }
  }

  private func rateControl(_ facts: Facts) -> RateControlReport {
    let (coded, settings) = (facts.coded, facts.settings)
    let mode = settings.text("rc_mode").flatMap(RateControlMode.init) ?? .cbr
    let target = targetBitsPerSecond(settings)
    var report = RateControlReport(mode: mode)
    report.gop = facts.codec == .mjpeg ? nil : settings.integer("gop")
    if let used = facts.used?.configuration, used.keepsBackground {
      (report.gopMode, report.backgroundInterval) = (.smartP, used.backgroundInterval)
    }
    report.sourceFrameRate = facts.sourceRate
    report.targetFrameRate = facts.codedRate
    if mode == .cbr { report.targetBitsPerSecond = target } else { report.maximumBitsPerSecond = target }
    if let used = facts.used, let goals = used.goals { own(&report, used, goals, coded) }
    if let hierarchy = facts.used?.hierarchy {
      report.layers.isEnabled = true
      report.layers.frameCounts = (0..<HierarchicalQP.layers).map { hierarchy.counts[$0] }
      report.layers.deltas = (0..<HierarchicalQP.layers).map { hierarchy.deltas[$0] }
    }
    if mode == .fixqp {
      report.fixedKeyQP = settings.integer("qp_i")
      report.fixedPredictedQP = settings.integer("qp_p")
    }
    report.run.currentBitsPerSecond = coded.bitsPerSecond
    report.run.currentFrameRate = Int(coded.picturesPerSecond.rounded())
    report.run.targetBitsPerSecond = target
    report.run.previousBitsPerSecond = coded.previousBitsPerSecond
    report.run.keyToPredictedPercent = ratio(coded)
    report.run.startQP = coded.lastQP
    // An engine's own rate control has one pair of bounds, which holds for predicted pictures, whether or not for the others too.
    if mode != .fixqp {
      report.limits.minimum = facts.used?.lowestQP
      report.limits.maximum = facts.used?.highestQP
      report.run.minimumQP = report.limits.minimum
      report.run.maximumQP = report.limits.maximum
    }
    return report
  }

  /// What the runtime's own rate control has besides.
  private func own(
    _ report: inout RateControlReport, _ used: VencInUse, _ goals: RateGoals, _ coded: EncoderFigures
  ) {
    report.windowSeconds = Int(goals.window)
    if report.mode != .cbr { report.maximumBitsPerSecond = Int(goals.maximum) }
    // Where every picture stands alone there is no QP, and nothing to be larger than: its bounds are in the coding's own section.
    if !used.configuration.codec.isEachPictureKey {
      report.limits.minimumKey = goals.key.lowerBound
      report.limits.maximumKey = goals.key.upperBound
      report.frameLimits = QPLimits()
      report.frameLimits.minimum = goals.predicted.lowerBound
      report.frameLimits.maximum = goals.predicted.upperBound
      report.frameLimits.minimumKey = goals.key.lowerBound
      report.frameLimits.maximumKey = goals.key.upperBound
      breathing(&report, used, goals)
      report.minimumKeyRatio = goals.keyRatio.lowerBound
      report.maximumKeyRatio = goals.keyRatio.upperBound
    }
    if report.mode == .vbr, goals.maximum > 0 {
      report.changePercent = Int((Double(used.configuration.bitrate) * 100_000 / goals.maximum).rounded())
    }
    let large = goals.superFrames
    report.maximumReencodes = goals.reencodes > 0 ? goals.reencodes : large.mode == .reencode ? large.reencodes : 0
    report.largeKeyFrameBits = large.mode == .none ? 0 : Int(large.key ?? 0)
    report.largePredictedFrameBits = large.mode == .none ? 0 : Int(large.predicted ?? 0)
    report.priority = large.priority
    report.maximumLostInARow = goals.lossGap
    report.lossMode = goals.lossThreshold == nil ? .none : .normal
    report.lossThreshold = goals.lossThreshold.map { Int($0) }
    report.framesLostInARow = coded.leftOutInARow
    if report.mode == .avbr {
      report.adaptive.maximumStillQP = Int(RatePlan.stillQP)
      report.minimumBitsPerSecond = goals.minimum.map { Int($0) }
      report.adaptive.minimumPercent = goals.minimum.map { Int(($0 * 100 / goals.target).rounded()) }
    }
    report.run.waterLevel = coded.windowBits
  }

  /// How the quantisers of key pictures lie to those of the others.
  private func breathing(_ report: inout RateControlReport, _ used: VencInUse, _ goals: RateGoals) {
    guard goals.gop > 1 else { return }
    report.keyQPDelta = goals.keyDelta
    report.breathingStrength = used.configuration.settings[.breathing]
    // What begins a group of smart-P is planned for as a key picture is.
    if report.gopMode == .smartP { report.virtualKeyQPDelta = goals.keyDelta }
  }

  /// Mean size of key frames over that of the others, in per cent.
  private func ratio(_ coded: EncoderFigures) -> Int? {
    guard let key = coded.keyBytes, let predicted = coded.predictedBytes, predicted > 0 else { return nil }
    return key * 100 / predicted
  }
}

extension EncoderRing {
  init(_ ring: RingFigures) {
    self.init()
    writePosition = ring.writePosition
    readPosition = ring.readPosition
    highWater = ring.highWater
    used = ring.used
    capacity = ring.capacity
    minimumFree = ring.minimumFree
    lastWritePosition = ring.lastWritePosition
    lastReadPosition = ring.lastReadPosition
  }
}

extension PictureFormat {
  init(_ format: PixelFormat?) {
    switch format {
    case .nv12: self = .nv12
    case .nv21: self = .nv21
    case .nv16: self = .nv16
    case .p010: self = .nv12With10Bits
    case .i420: self = .i420
    case .yuyv: self = .yuyv
    case .uyvy: self = .uyvy
    case .xrgb8888, .argb8888: self = .argb8888
    case .xbgr8888: self = .abgr8888
    case .rgb24: self = .rgb888
    case .bgr24: self = .bgr888
    case .grey: self = .grey
    default: self = .other
    }
  }
}

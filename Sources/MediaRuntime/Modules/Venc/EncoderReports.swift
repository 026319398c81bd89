// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

extension VencChannel {
  func encoderReport() -> EncoderReport? {
    let coded = encoderCounters.figures()
    let settings = settings
    let ring = ring.figures
    let codec = used?.configuration.codec ?? settings.text("codec").flatMap(Codec.init) ?? .h264
    let state = state.value
    var report = EncoderReport(
      channel: path.number, path: "\(path)", attributes: attributes(coded, settings, codec, isRunning: state.isRunning),
      syntax: syntax(codec, coded, settings), rateControl: rateControl(coded, settings, codec))
    report.status.isRunning = state.isRunning
    report.status.configureMicroseconds = Int(coded.configureTime / 1000)
    report.status.packetsQueued = ring.waiting
    report.status.packetsTaken = ring.taken
    report.status.startGapMicroseconds = Int(coded.startGap / 1000)
    report.status.lastCombinedStartMicroseconds = coded.startedAtRealtime
    report.status.lastCombinedEndMicroseconds = coded.startedAtRealtime
    report.ring = EncoderRing(ring)
    let isBusy = session.runningSince != 0
    report.engine.isBusy = isBusy
    report.engine.stage = coded.lastStart == 0 ? .configuring : isBusy ? .started : .finished
    report.engine.packetPoolExhausted = ring.exhausted
    report.engine.ringRefused = ring.refused
    report.engine.configureFailed = coded.configureFailed
    report.engine.startFailed = coded.startFailed
    return report
  }

  private func rates(_ settings: ObjectSettings) -> (source: Int, target: Int) {
    let source = settings.integer("fps_src") ?? node.input.upstream?.format?.rate.rounded ?? 0
    return (source, codedRate(settings)?.rounded ?? settings.integer("fps_dst") ?? source)
  }

  private func attributes(
    _ coded: EncoderFigures, _ settings: ObjectSettings, _ codec: Codec, isRunning: Bool
  ) -> EncoderAttributes {
    let layout = used?.layout ?? node.input.upstream?.format?.layout
    let rates = rates(settings)
    let width = Int(layout?.width ?? 0)
    let height = Int(layout?.height ?? 0)
    var attributes = EncoderAttributes(codec: codec)
    (attributes.width, attributes.maximumWidth) = (width, width)
    (attributes.height, attributes.maximumHeight) = (height, height)
    attributes.sequence = coded.pictures
    attributes.receivesFrames = isRunning
    attributes.sourceFrameRate = rates.source
    attributes.targetFrameRate = rates.target
    attributes.startedAtMicroseconds = coded.startedAtRealtime
    attributes.pictureFormat = PictureFormat(layout?.format)
    attributes.measuredFrameRate = coded.picturesPerSecond
    return attributes
  }

  private func syntax(_ codec: Codec, _ coded: EncoderFigures, _ settings: ObjectSettings) -> EncoderSyntax {
    let seen = syntax.value
    switch codec {
    case .h264:
      var shown = H264Syntax()
      shown.profile = settings.text("profile").flatMap { $0 == "auto" ? nil : $0 }
      guard let seen, seen.codec == .h264 else { return .h264(shown) }
      shown.profile = seen.profileName ?? "unknown"
      shown.cabac = seen.cabac
      shown.transform8x8 = seen.transform8x8
      shown.scalingMatrix = seen.scalingMatrix
      shown.pictureOrderCountType = seen.pictureOrderType
      shown.alphaOffset = seen.deblockingAlpha
      shown.betaOffset = seen.deblockingBeta
      return .h264(shown)
    case .h265: return .h265(H265Syntax())
    case .mjpeg:
      var shown = JPEGSyntax()
      shown.quality = coded.lastQuality ?? settings.integer("quality")
      return .jpeg(shown)
    case .fwht, .vp8: return .other
    }
  }

  /// The rate aimed at; `nil` where the quantiser is fixed.
  func targetBitsPerSecond(_ settings: ObjectSettings) -> Int? {
    settings.text("rc_mode") == RateControlMode.fixqp.rawValue ? nil : settings.integer("bitrate").map { $0 * 1000 }
  }

  private func rateControl(
    _ coded: EncoderFigures, _ settings: ObjectSettings, _ codec: Codec
  ) -> RateControlReport {
    let mode = settings.text("rc_mode").flatMap(RateControlMode.init) ?? .cbr
    let rates = rates(settings)
    let target = targetBitsPerSecond(settings)
    var report = RateControlReport(mode: mode)
    report.gop = codec == .mjpeg ? nil : settings.integer("gop")
    report.sourceFrameRate = rates.source
    report.targetFrameRate = rates.target
    if mode == .cbr { report.targetBitsPerSecond = target } else { report.maximumBitsPerSecond = target }
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
    // The engines here have one pair of bounds, which holds for predicted pictures, whether or not for the others too.
    if mode != .fixqp {
      report.limits.minimum = bound(.minQP)
      report.limits.maximum = bound(.maxQP)
      report.run.minimumQP = report.limits.minimum
      report.run.maximumQP = report.limits.maximum
    }
    return report
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
    case .i420: self = .i420
    case .yuyv: self = .yuyv
    case .uyvy: self = .uyvy
    case .xrgb8888, .argb8888: self = .argb8888
    case .rgb24: self = .rgb888
    default: self = .other
    }
  }
}

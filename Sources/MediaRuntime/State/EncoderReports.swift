// SPDX-License-Identifier: Apache-2.0
import MediaCore
public import Reports

extension MediaGraph {
  /// The encoder channels and what they share.
  public func encodersReport() -> EncodersReport {
    let channels = all.compactMap { $0 as? VencChannel }
    let services = environment.services.figures()
    var packets = 0
    for channel in channels { packets += channel.ring.figures.packets }
    let limit = channels.count * PacketRing.descriptors
    environment.pools.prune()
    let (buffers, idle) = environment.pools.entries.reduce((0, 0)) {
      ($0.0 + $1.pool.buffers.count, $0.1 + $1.pool.free)
    }
    // A frame that an encoder holds lies in a place of its queue or is being coded.
    let places = channels.reduce(0) { $0 + $1.node.input.depth + 1 }
    let held = channels.reduce(0) { $0 + min($1.node.figures().inFlight, $1.node.input.depth + 1) }
    return EncodersReport(
      worker: EncoderWorkerReport(
        lastRunNanoseconds: services.reduce(0) { max($0, $1.lastRunRawNanoseconds) },
        runs: services.reduce(0) { $0 + $1.runs }, triggers: services.reduce(0) { $0 + $1.triggers }),
      channels: channels.map { $0.report() },
      packets: PacketPoolReport(unused: limit - packets, used: packets, limit: limit),
      buffers: PacketPoolReport(unused: idle, used: buffers - idle, limit: buffers),
      frames: PacketPoolReport(unused: places - max(0, held), used: max(0, held), limit: places))
  }
}

extension VencChannel {
  func report() -> EncoderReport {
    let coded = encoderCounters.figures()
    let settings = current
    let ring = ring.figures
    let codec = used?.configuration.codec ?? settings.text("codec").flatMap(Codec.init) ?? .h264
    let state = state.value
    let status = EncoderStatus(
      isRunning: state.isRunning, configureMicroseconds: Int(coded.configureTime / 1000),
      packetsQueued: ring.waiting, packetsTaken: ring.taken, startGapMicroseconds: Int(coded.startGap / 1000),
      lastCombinedStartMicroseconds: coded.startedAtRealtime, lastCombinedEndMicroseconds: coded.startedAtRealtime)
    let isBusy = session?.runningSince != 0
    let stage: EncodeStage = coded.lastStart == 0 ? .configuring : isBusy ? .started : .finished
    return EncoderReport(
      channel: path.number, path: "\(path)", status: status,
      attributes: attributes(coded, settings, codec, isRunning: state.isRunning),
      ring: EncoderRing(
        writePosition: ring.writePosition, readPosition: ring.readPosition, highWater: ring.highWater,
        used: ring.used, capacity: ring.capacity, minimumFree: ring.minimumFree,
        lastWritePosition: ring.lastWritePosition, lastReadPosition: ring.lastReadPosition),
      engine: EncoderEngineStatus(
        isBusy: isBusy, stage: stage, packetPoolExhausted: ring.exhausted, ringRefused: ring.refused,
        configureFailed: coded.configureFailed, startFailed: coded.startFailed),
      syntax: syntax(codec, coded, settings), rateControl: rateControl(coded, settings, codec))
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
    return EncoderAttributes(
      width: width, height: height, maximumWidth: width, maximumHeight: height,
      codec: CodedFormat(rawValue: codec.rawValue) ?? .h264, sequence: coded.pictures, receivesFrames: isRunning,
      sourceFrameRate: rates.source, targetFrameRate: rates.target, startedAtMicroseconds: coded.startedAtRealtime,
      pictureFormat: PictureFormat(layout?.format), measuredFrameRate: coded.picturesPerSecond)
  }

  private func syntax(_ codec: Codec, _ coded: EncoderFigures, _ settings: ObjectSettings) -> EncoderSyntax {
    let seen = syntax.value
    switch codec {
    case .h264:
      let asked = settings.text("profile").flatMap { $0 == "auto" ? nil : $0 }
      guard let seen, seen.codec == .h264 else { return .h264(H264Syntax(profile: asked)) }
      return .h264(
        H264Syntax(
          profile: seen.profileName ?? "unknown", cabac: seen.cabac, transform8x8: seen.transform8x8,
          scalingMatrix: seen.scalingMatrix, pictureOrderCountType: seen.pictureOrderType,
          alphaOffset: seen.deblockingAlpha, betaOffset: seen.deblockingBeta))
    case .h265: return .h265(H265Syntax())
    case .mjpeg: return .jpeg(JPEGSyntax(quality: coded.lastQuality ?? settings.integer("quality")))
    case .fwht, .vp8: return .other
    }
  }

  private func rateControl(
    _ coded: EncoderFigures, _ settings: ObjectSettings, _ codec: Codec
  ) -> RateControlReport {
    let mode = settings.text("rc_mode").flatMap(RateControlMode.init) ?? .cbr
    let rates = rates(settings)
    let target = mode == .fixqp ? nil : settings.integer("bitrate").map { $0 * 1000 }
    var report = RateControlReport(
      mode: mode, gop: codec == .mjpeg ? nil : settings.integer("gop"), sourceFrameRate: rates.source,
      targetFrameRate: rates.target)
    if mode == .cbr { report.targetBitsPerSecond = target } else { report.maximumBitsPerSecond = target }
    if mode == .fixqp {
      report.fixedKeyQP = settings.integer("qp_i")
      report.fixedPredictedQP = settings.integer("qp_p")
    }
    report.run = RateRunReport(
      currentBitsPerSecond: coded.bitsPerSecond, currentFrameRate: Int(coded.picturesPerSecond.rounded()),
      targetBitsPerSecond: target, previousBitsPerSecond: coded.previousBitsPerSecond,
      keyToPredictedPercent: ratio(coded), startQP: coded.lastQP)
    return report
  }

  /// Mean size of key frames over that of the others, in per cent.
  private func ratio(_ coded: EncoderFigures) -> Int? {
    guard let key = coded.keyBytes, let predicted = coded.predictedBytes, predicted > 0 else { return nil }
    return key * 100 / predicted
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

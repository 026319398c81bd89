// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports

/// What `active` and `stats` of an encoder channel show besides the common lines.
extension VencChannel {
  var stream: PacketRing? { ring }
  var engineName: String? { used?.engine }
  var overlapsWork: Bool { used?.waker != nil }

  func activeFacts() -> [KeyValue] {
    guard let used else { return [] }
    let asked = settings.text("backend") ?? "auto"
    var facts =
      [
        KeyValue(key: "backend", value: used.factory.name), KeyValue(key: "engine", value: used.engine),
        KeyValue(key: "codec", value: used.configuration.codec.rawValue),
        KeyValue(
          key: "profile", value: syntax.value?.profileName ?? used.configuration.profile),
        KeyValue(key: "width", value: "\(used.configuration.width)"),
        KeyValue(key: "height", value: "\(used.configuration.height)"),
        KeyValue(key: "format", value: "\(used.layout.format)"), KeyValue(key: "conversion", value: used.conversion),
      ] + used.coded.meaningFacts + [
        KeyValue(key: "memory", value: used.converter?.memory ?? "the source's"),
        KeyValue(key: "fps", value: "\(used.configuration.frameRate)"),
        KeyValue(key: "ring", value: "\(ring.figures.capacity) of at most \(environment.options.ringLimit) bytes"),
        KeyValue(key: "stream", value: "\(path)/stream"),
      ]
    if asked == "auto" { facts.append(KeyValue(key: "backend_why", value: used.why)) }
    if used.configuration.rateMode != .fixqp {
      facts.append(
        KeyValue(
          key: "rate_control",
          value: !used.isOwnRate
            ? "the engine's"
            : "the runtime's, by the \(used.configuration.codec.isEachPictureKey ? "quality factor" : "QP") of each picture"
        ))
    }
    if used.configuration.rateMode != .fixqp, let low = used.lowestQP, let high = used.highestQP {
      facts.append(KeyValue(key: "qp_bounds", value: "\(low)..\(high)"))
    }
    if let goals = used.goals, used.configuration.codec.isEachPictureKey {
      facts.append(
        KeyValue(key: "quality_bounds", value: "\(goals.predicted.lowerBound)..\(goals.predicted.upperBound)"))
    }
    if let missing = missingFrames(settings) { facts.append(KeyValue(key: "differs", value: missing.remark)) }
    if let asked = used.supervision { facts.append(KeyValue(key: "device_bitrate", value: asked)) }
    facts += used.clippedRegions.map { KeyValue(key: "differs", value: $0) }
    facts += used.remarks.map { KeyValue(key: "differs", value: $0) }
    return facts.filter { !$0.value.isEmpty }
  }

  func moreStatistics() -> [Statistic] {
    let ring = ring.figures
    let coded = encoderCounters.figures()
    var all = [
      Statistic("key_frames", .counter, "Key frames coded.", coded.keys),
      Statistic(
        "recovery_points", .counter, "Pictures reading can begin at that are no key frames.", coded.recoveryPoints),
      Statistic("readers", .gauge, "Readers of the stream.", ring.readers),
      Statistic("reader_lost_pictures", .counter, "Coded pictures readers were too slow for.", ring.lostPackets),
      Statistic("reader_lost_groups", .counter, "Groups of pictures readers were too slow for.", ring.lostGroups),
      Statistic(
        "packet_pool_full", .counter,
        "Times no packet was free and a slow reader of this channel gave way, or a picture.",
        ring.exhausted),
      Statistic("ring_refused", .counter, "Coded pictures the ring had no room for.", ring.refused),
      Statistic("ring_used_bytes", .gauge, unit: .bytes, in: .onlyMetrics, "Bytes in the ring.", ring.used),
      Statistic(
        "ring_peak_bytes", .gauge, unit: .bytes, in: .onlyMetrics, "Most bytes ever in the ring.", ring.highWater),
      Statistic("ring_capacity_bytes", .gauge, unit: .bytes, in: .onlyMetrics, "Size of the ring.", ring.capacity),
      Statistic("waiting_packets", .gauge, in: .onlyMetrics, "Coded pictures waiting for a reader.", ring.waiting),
    ]
    all.append(
      Statistic(
        "bytes_per_second", .gauge, metric: "current_bytes_per_second", "Coded rate over the last second.",
        ((node.output.counters.rate(at: Clock.now())?.bitsPerSecond ?? 0) / 8).rounded()))
    if used?.isOwnRate ?? false {
      all.append(
        Statistic(
          "rate_overflows", .counter, "Pictures after which stat_time had more bits than rc_mode allows.",
          coded.overflows))
      all.append(
        Statistic("reencoded", .counter, "Pictures that were too large and coded again.", coded.reencoded))
      all.append(
        Statistic("discarded", .counter, "Pictures that were too large for the stream.", coded.discarded))
    }
    if let rate = targetBitsPerSecond(settings) {
      all.append(
        Statistic("target_bytes_per_second", .gauge, in: .onlyMetrics, "Coded rate aimed at.", Double(rate) / 8))
    }
    if let qp = coded.lastQP {
      all.append(Statistic("start_qp", .gauge, in: .onlyMetrics, "QP of the last frame.", qp))
    }
    return all
  }
}

/// What an encoder channel has in use.
struct VencInUse: Sendable {
  let factory: any EncoderFactory
  let engine: String
  let configuration: EncoderConfiguration
  let layout: FrameLayout
  /// The pictures that are coded.
  let coded: FrameLayout
  let conversion: String
  let converter: Converter?
  /// Ends a wait for the engine.
  let waker: (any Waker)?
  /// Why this engine, where it was to be found.
  let why: String
  /// Where the engine does something else than was asked.
  let remarks: [String]
  /// The bounds of the QP in force: those asked for, or the engine's own.
  let lowestQP: Int?
  let highestQP: Int?
  /// What the runtime's own rate control is asked for; `nil` where the engine holds its rate. Kept, since reports look at it for
  /// every channel.
  let goals: RateGoals?
  /// Layers of predicted pictures, with fixed quantisers too.
  let hierarchy: HierarchicalQP?
  var isOwnRate: Bool { goals != nil }
  /// What bitrate the device is asked for and why, where it holds one by itself.
  let supervision: String?

  /// Regions that are not wholly inside the pictures of now.
  var clippedRegions: [String] {
    SettingKey<PictureRegion>.regions.compactMap { key in
      guard let region = configuration.settings[key],
        !region.isInside(width: configuration.width, height: configuration.height)
      else { return nil }
      return
        "\(key.name) reaches beyond the picture of \(configuration.width)x\(configuration.height); what is inside counts"
    }
  }

  init(_ engine: VencEngine, why: String) {
    factory = engine.factory
    self.engine = engine.encoder.engine
    configuration = engine.configuration
    layout = engine.layout
    coded = engine.coded
    conversion = engine.conversionText
    converter = engine.conversion
    waker = engine.encoder.waker
    self.why = why
    remarks = engine.encoder.remarks
    supervision = engine.supervision
    let (obeyed, asked) = (engine.factory.settings(for: engine.configuration.codec), engine.configuration.settings)
    let asksFor = RateGoals(engine.configuration, obeyed: obeyed)
    goals = engine.control.status == nil ? nil : asksFor
    hierarchy = asksFor.hierarchy
    lowestQP = obeyed[.minQP].flatMap { asked[.minQP] ?? $0.usual }
    highestQP = obeyed[.maxQP].flatMap { asked[.maxQP] ?? $0.usual }
  }
}

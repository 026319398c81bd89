// SPDX-License-Identifier: Apache-2.0

import Foundation
import NodeText
import Reports

/// The values behind the texts in `Golden/`, which show the vendor's layout.
enum Sample {
  static func identity(_ dialect: Dialect) -> SystemIdentity {
    switch dialect {
    case .rockit1432:
      SystemIdentity(
        program: "vmpi", version: "1.4.32", commit: "9093280df536e902dd5125cdc9953509ebc59a74", buildAuthor: "",
        buildTime: CivilTime(year: 2023, month: 2, day: 2, hour: 15, minute: 30, second: 51))
    case .rockit1481:
      SystemIdentity(
        program: "vmpi", version: "1.4.81", commit: "28ee389dbc33c2c7db812cd08e54fd3a0f2f992b", buildAuthor: "",
        buildTime: CivilTime(year: 2024, month: 5, day: 24, hour: 16, minute: 21, second: 1))
    }
  }

  static let buffers = [
    BufferReport(
      id: 3, references: 1, kernelReferences: 2, size: 12288, creator: "rkipc", handle: 0xc1b3_a800,
      physicalAddress: 0x4a1_0000),
    BufferReport(
      id: 7, poolID: 2, references: 1, kernelReferences: 3, size: 3_110_400, creator: "rkipc",
      users: [BufferUser(node: "vpss", nodeID: 5, slot: 0), BufferUser(node: "venc", nodeID: 9, slot: 2)],
      handle: 0xc1b3_ac00, isMapped: true, mapping: 0xd0a8_0000, physicalAddress: 0x4b0_0000),
    BufferReport(
      id: 8, poolID: 2, references: 0, kernelReferences: 2, size: 3_110_400, creator: "rkipc", handle: 0xc1b3_b000),
  ]

  static let pools = [
    PoolReport(
      id: 2, total: 2, free: 1, minimumFree: 0, bufferSize: 3_110_400, creator: "rkipc",
      users: [BufferUser(node: "vpss", nodeID: 5)], memory: .heap)
  ]

  static let nodes = [
    NodeReport(
      id: 4, name: "rkisp-vir0", channel: 0, references: 2, handle: 0xc1c4_0800,
      input: PortReport(depth: 4), output: PortReport(frames: 1500, rate: 30, depth: 4, lastMicroseconds: 812),
      flags: [.valid, .streaming], sinks: [6]),
    NodeReport(
      id: 6, name: "vpss", channel: 1, references: 3, handle: 0xc1c4_0c00,
      input: PortReport(
        frames: 1500, rate: 30, frameControl: (0..<30).map { $0 % 2 }, depth: 4, lastMicroseconds: 640),
      output: PortReport(
        frames: 750, dropped: DropCounts(queueFull: 2), rate: 15, depth: 4, lastMicroseconds: 355),
      flags: [.valid, .streaming, .boundAsSink], sinks: [9]),
    NodeReport(
      id: 9, name: "venc", channel: 0, references: 2, handle: 0xc1c4_1200,
      input: PortReport(frames: 750, rate: 15, depth: 4, lastMicroseconds: 300), output: PortReport(depth: 4),
      flags: [.valid, .streaming, .boundAsSink]),
  ]

  static let regions = RegionsReport(
    regions: [
      RegionReport(
        id: 0, shape: .overlay, width: 256, height: 64, format: .argb8888, canvasBufferID: 12, canvasReferences: 1),
      RegionReport(id: 1, shape: .cover, width: 320, height: 240),
      RegionReport(id: 2, shape: .mosaic, width: 128, height: 128),
    ],
    attachments: [
      RegionAttachment(regionID: 0, nodeID: 9, x: 16, y: 16),
      RegionAttachment(regionID: 1, nodeID: 9, x: 640, y: 352),
    ])

  static let log = [
    LogRecord(
      monotonicMicroseconds: 12_034_567, module: .system, level: .information, function: "vsys_pool_delete", line: 301,
      text: "pool->id =  3"),
    LogRecord(
      monotonicMicroseconds: 12_100_002, module: ModuleKind("venc"), level: .error, function: "venc_ioctl", line: 100,
      text: "error: index = 9"),
  ]

  static func encoder(
    channel: Int = 0, codec: CodedFormat = .h265, syntax: EncoderSyntax = .h265(h265), mode: RateControlMode = .cbr,
    minimumFree: Int = 262144
  ) -> EncoderReport {
    var report = EncoderReport(
      channel: channel, path: "venc/\(channel)", attributes: EncoderAttributes(codec: codec), syntax: syntax,
      rateControl: rateControl(mode))
    report.status.isRunning = true
    report.status.configureMicroseconds = 412
    report.status.packetsTaken = 1
    report.status.startGapMicroseconds = 33345
    report.status.lastCombinedStartMicroseconds = 1_650_000_000_000_000
    report.status.lastCombinedEndMicroseconds = 1_650_000_000_000_000
    report.attributes.width = 1920
    report.attributes.height = 1080
    report.attributes.maximumWidth = 1920
    report.attributes.maximumHeight = 1080
    report.attributes.sequence = 1506
    report.attributes.receivesFrames = true
    report.attributes.sourceFrameRate = 30
    report.attributes.targetFrameRate = 30
    report.attributes.startedAtMicroseconds = 0x5_5f3a_2b10
    report.attributes.pictureFormat = .nv12
    report.attributes.measuredFrameRate = 30
    var ring = EncoderRing()
    ring.writePosition = 262144
    ring.readPosition = 262144
    ring.highWater = 98304
    ring.used = 4096
    ring.capacity = 1_048_576
    ring.minimumFree = minimumFree
    ring.lastWritePosition = 262144
    ring.lastReadPosition = 262144
    report.ring = ring
    report.engine.stage = .finished
    return report
  }

  private static func rateControl(_ mode: RateControlMode) -> RateControlReport {
    var rate = RateControlReport(mode: mode)
    rate.gop = 60
    rate.windowSeconds = 3
    rate.sourceFrameRate = 30
    rate.targetFrameRate = 30
    rate.targetBitsPerSecond = 4_096_000
    rate.maximumBitsPerSecond = 6_000_000
    rate.minimumBitsPerSecond = 2_000_000
    rate.fixedKeyQP = 28
    rate.fixedPredictedQP = 30
    (rate.limits.minimum, rate.limits.maximum) = (20, 51)
    (rate.limits.minimumKey, rate.limits.maximumKey) = (20, 48)
    (rate.frameLimits.minimum, rate.frameLimits.maximum) = (28, 51)
    (rate.frameLimits.minimumKey, rate.frameLimits.maximumKey) = (28, 51)
    rate.lossThreshold = 20
    rate.framesLostInARow = 0
    rate.maximumLostInARow = 1
    rate.largeKeyFrameBits = 0
    rate.largePredictedFrameBits = 0
    rate.keyQPDelta = 2
    rate.changePercent = 80
    rate.minimumKeyRatio = 10
    rate.maximumKeyRatio = 30
    rate.maximumReencodes = 0
    rate.run.currentBitsPerSecond = 4_010_400
    rate.run.currentFrameRate = 0
    rate.run.waterLevel = 512_000
    rate.run.targetBitsPerSecond = 4_096_000
    rate.run.previousBitsPerSecond = 3_990_999
    rate.run.keyToPredictedPercent = 160
    rate.run.startQP = 32
    rate.run.minimumQP = 20
    rate.run.maximumQP = 51
    return rate
  }

  static let h265: H265Syntax = {
    var syntax = H265Syntax()
    syntax.profile = "main"
    syntax.deblocking = true
    syntax.tcOffset = 0
    syntax.betaOffset = 0
    syntax.saoLuma = true
    syntax.saoChroma = true
    syntax.strongIntraSmoothing = true
    syntax.cbQPOffset = 0
    syntax.crQPOffset = 0
    return syntax
  }()

  static let h264: H264Syntax = {
    var syntax = H264Syntax()
    syntax.profile = "high"
    syntax.cabac = true
    syntax.transform8x8 = true
    syntax.scalingMatrix = false
    syntax.pictureOrderCountType = 2
    syntax.alphaOffset = 0
    syntax.betaOffset = -1
    return syntax
  }()

  static let jpeg: JPEGSyntax = {
    var syntax = JPEGSyntax()
    syntax.quantiser = 0
    syntax.quality = 70
    syntax.maximumQuality = 99
    syntax.minimumQuality = 30
    return syntax
  }()

  static func encoders(_ dialect: Dialect) -> EncodersReport {
    let pool = PacketPoolReport(unused: 3, used: 1, limit: 512)
    return EncodersReport(
      worker: EncoderWorkerReport(lastRunNanoseconds: 50_123_456_789, runs: 3012, triggers: 3020),
      channels: [encoder(minimumFree: dialect == .rockit1481 ? 10240 : 262144)], packets: pool, buffers: pool,
      frames: pool)
  }

  static let clocks = ClockReading(
    monotonicMicroseconds: 15_545_678, realtimeMicroseconds: 1_795_231_863_123_456)

  static func state(
    _ path: String, _ condition: ObjectCondition = .running, bytesOut: UInt64? = nil,
    dropped: DropCounts = DropCounts(),
    more: [Statistic] = [], effects: [EffectRecord] = []
  ) -> ObjectState {
    var statistics = ObjectStatistics(createdMicroseconds: 1_000_000, generation: 1)
    statistics.framesIn = 100 + dropped.total
    statistics.framesOut = 97
    statistics.dropped = dropped
    statistics.inFlight = 3
    statistics.queueDepth = 2
    statistics.queueCapacity = 4
    statistics.lastMicroseconds = 900
    statistics.meanMicroseconds = 1000
    statistics.maximumMicroseconds = 2500
    statistics.workMicroseconds = 97_250
    statistics.bytesOut = bytesOut
    statistics.bytesCopied = 7
    return ObjectState(
      path: path, kind: String(path.prefix { $0 != "/" }), condition: condition,
      active: [KeyValue(key: "backend", value: "openh264"), KeyValue(key: "width", value: "1280")],
      statistics: statistics, moreStatistics: more, effects: effects)
  }

  static let health = HealthReport(
    verdict: .degraded, clocks: clocks,
    findings: [
      HealthFinding(
        path: "venc/0", condition: .starved, sinceMonotonicMicroseconds: 12_345_678, waitingFor: "vpss/0/0",
        queue: QueueFinding(name: "venc/0 input", fill: .empty, waiting: 0, capacity: 4))
    ])

  static func moment(_ dialect: Dialect) -> Moment { Moment(sources(dialect)) }

  static func sources(_ dialect: Dialect) -> Moment.Sources {
    var sources = Moment.Sources(
      pages: PageTable(dialect), identity: identity(dialect), clocks: { clocks }, health: { health }
    )
    sources.startedMonotonicMicroseconds = 545_678
    sources.nodes = { nodes }
    sources.allocations = { AllocationsReport(buffers: buffers, pools: pools) }
    sources.memory = { MemoryTotals(totalBytes: 7_233_088, peakBytes: 9_000_000, ownBytes: 6_233_088) }
    sources.regions = { regions }
    sources.encoders = { encoders(dialect) }
    sources.services = { services }
    sources.sessions = { sessions }
    sources.coding = { CodingReport(encodes: [.h264, .mjpeg, .fwht], decodes: [.h264, .mjpeg]) }
    sources.objects = { objects }
    sources.drops = { drops }
    sources.log = { log }
    sources.refusals = { refusals }
    sources.config = { Array("a = b".utf8) }
    sources.statistics = {
      [
        StatisticGroup(
          "filesystem",
          [Statistic("requests", .counter, cause: "read", "Requests answered, by \"kind\".", 12)]),
        StatisticGroup(
          "filesystem", owner: "a\"b\\c\nd",
          [Statistic("requests", .counter, cause: "open", "Requests answered, by \"kind\".", 3.5)]),
      ]
    }
    return sources
  }

  static let drops = [
    DropRecord(
      monotonicMicroseconds: 15_012_345, object: "venc/0", number: 812, ptsMicroseconds: 14_979_012,
      cause: .frameControl, stage: .input),
    DropRecord(
      monotonicMicroseconds: 15_045_678, object: "vpss/63/3", number: 4_294_967_296, ptsMicroseconds: -1,
      cause: .formatMismatch, stage: .work),
    DropRecord(
      monotonicMicroseconds: 15_545_000, object: "vi/0", number: nil, ptsMicroseconds: nil, cause: .noBuffer,
      stage: .source),
  ]

  static let refusals = [
    RefusalRecord(
      clocks: clocks, path: "venc/0/bitrate", value: Array("9999999\n".utf8), errno: 34,
      errnoName: "ERANGE",
      reason: "above 200000 kbps", hint: "2..200000 kbps")
  ]

  static let effects = [
    EffectRecord(
      path: "venc/0", key: "bitrate", old: "2000", new: "4000", frame: 812, verdict: .effective,
      measured: "3960",
      unit: "kbps"),
    EffectRecord(path: "venc/0", key: "gop", old: "30", new: "60", frame: 9),
  ]

  static var objects: [ObjectState] {
    [
      state("vi/0"), state("vpss/0"),
      state(
        "venc/0", bytesOut: 123_456, dropped: DropCounts(frameControl: 5),
        more: [
          Statistic("readers", .gauge, "Readers of the stream.", 2),
          Statistic("reader_lost_groups", .counter, "Groups readers were too slow for.", 3),
          Statistic("capture_to_screen_us", .gauge, unit: .microseconds, "Latency.", 41_500),
          Statistic("current_bytes_per_second", .gauge, in: .onlyMetrics, "Coded rate.", 501_300.5),
        ], effects: effects),
      state("venc/1", .failed(why: "no \"room\"\nat all"), bytesOut: 5),
    ]
  }
}

/// The text of a file in `Golden/`.
func golden(_ name: String) throws -> [UInt8] {
  let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")
  return [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
}

/// What `body` renders, as a string.
func rendered(_ body: (inout TextWriter) -> Void) -> String {
  String(decoding: renderText(body), as: UTF8.self)
}

/// The lines of a text; a final line feed makes no further line.
func lines(_ text: String) -> [Substring] {
  var all = text.split(separator: "\n", omittingEmptySubsequences: false)
  if all.last == "" { all.removeLast() }
  return all
}

// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `venc_info`: the encoder channels with every setting and the state of ring, engine and rate control.
///
/// The layout of 1.4.32 joins the cells without a separator, so a value as wide as its column touches its neighbour, as on
/// the board. Dialect.swift says which values are in which unit, and that the older layout exchanges two of them.
public enum VEncInfoPage {
  static func page(_ dialect: Dialect) -> Page {
    Page(
      "venc_info", also: ["vcodec/enc/venc_info"], capacity: 16384,
      "encoder channels: settings, ring, engine, rate control"
    ) {
      write($0.encoders, dialect: dialect, to: &$1)
    }
  }

  /// Writes the page: the worker, each channel, the pools of descriptors. What does not exist has no section.
  public static func write(_ report: EncodersReport, dialect: Dialect, to out: inout TextWriter) {
    let tables = dialect == .rockit1481 ? VEncTables.june2023 : VEncTables.may2022
    if let worker = report.worker {
      out.bytes(tables.worker.heading)
      var row = VEncRow(tables.worker)
      row.cell(Int(worker.lastRunNanoseconds), &out)
      row.cell(worker.runs, &out)
      row.cell(worker.triggers, &out)
      row.end(&out)
    }
    for channel in report.channels {
      writeStatus(channel, tables, to: &out)
      writeAttributes(channel, tables, to: &out)
      writeRing(channel, tables, to: &out)
      writeEngine(channel, tables, to: &out)
      writeSyntax(channel, tables, to: &out)
      writeRateControl(channel, tables, to: &out)
    }
    if let packets = report.packets { writePool(packets, tables.packets, tables, to: &out) }
    // The layout of May 2022 knows one pool only.
    guard tables.isNew else { return }
    if let buffers = report.buffers { writePool(buffers, tables.buffers, tables, to: &out) }
    if let frames = report.frames { writePool(frames, tables.frames, tables, to: &out) }
  }

  private static func writeStatus(_ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter) {
    let status = channel.status
    out.bytes(tables.status.heading)
    var row = VEncRow(tables.status)
    row.cell(channel.channel, &out)
    row.cell(status.isRunning ? 1 : 0, &out)
    // No JPEG channel is coded together with another from one pass.
    row.cell(0, &out)
    row.cell(status.configureMicroseconds, &out)
    row.cell(status.packetsQueued, &out)
    row.cell(status.packetsTaken, &out)
    row.cell(status.startGapMicroseconds, &out)
    row.cell(0, &out)
    row.cell(Int(status.lastCombinedStartMicroseconds), &out)
    row.cell(Int(status.lastCombinedEndMicroseconds), &out)
    row.end(&out)
  }

  private static func writeAttributes(_ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter) {
    let attributes = channel.attributes
    out.bytes(tables.attributes1.heading)
    var row = VEncRow(tables.attributes1)
    row.cell(channel.channel, &out)
    row.cell(attributes.width, &out)
    row.cell(attributes.height, &out)
    row.name(attributes.codec.rawValue, &out)
    // Readers get whole frames.
    row.cell("y", &out)
    row.cell(attributes.sequence, &out)
    row.name(attributes.gopMode.rawValue, &out)
    row.cell(attributes.priority, &out)
    if tables.isNew {
      row.cell(attributes.maximumWidth, &out)
      row.cell(attributes.maximumHeight, &out)
      // Frames are whole in memory before they are coded, and references are the engine's own.
      row.cell(0, &out)
      row.cell(0, &out)
    }
    row.end(&out)

    out.bytes(tables.attributes2.heading)
    row = VEncRow(tables.attributes2)
    row.cell(channel.channel, &out)
    row.cell(attributes.receivesFrames ? "y" : "n", &out)
    row.cell(attributes.sourceFrameRate, &out)
    row.cell(attributes.targetFrameRate, &out)
    row.hexadecimal(UInt64(truncatingIfNeeded: attributes.startedAtMicroseconds) & 0xFFFF_FFFF, &out)
    row.cell(vendorName(attributes.pictureFormat), &out)
    row.cell(tenths(attributes.measuredFrameRate), &out)
    row.cell(attributes.rotation, &out)
    row.flag(attributes.isMirrored, &out)
    row.end(&out)
  }

  private static func writeRing(_ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter) {
    guard let ring = channel.ring else { return }
    out.bytes(tables.ring.heading)
    var row = VEncRow(tables.ring)
    row.cell(channel.channel, &out)
    row.cell(ring.writePosition, &out)
    row.cell(ring.readPosition, &out)
    row.cell(ring.highWater, &out)
    row.cell(ring.capacity, &out)
    row.cell(ring.minimumFree, &out)
    row.cell(ring.lastWritePosition, &out)
    row.cell(ring.lastReadPosition, &out)
    row.end(&out)
  }

  private static func writeEngine(_ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter) {
    let engine = channel.engine
    out.bytes(tables.engine.heading)
    var row = VEncRow(tables.engine)
    row.cell(channel.channel, &out)
    row.cell(engine.isBusy ? 1 : 0, &out)
    row.cell(Int(engine.stage.rawValue), &out)
    row.cell(engine.packetPoolExhausted, &out)
    row.cell(engine.ringRefused, &out)
    row.cell(engine.configureFailed, &out)
    row.cell(engine.startFailed, &out)
    row.end(&out)

    guard tables.isNew, !channel.regionsOfInterest.isEmpty else { return }
    out.bytes(tables.roi.heading)
    for part in channel.regionsOfInterest {
      row = VEncRow(tables.roi)
      row.cell(channel.channel, &out)
      row.cell(part.index, &out)
      row.cell(part.x, &out)
      row.cell(part.y, &out)
      row.cell(part.width, &out)
      row.cell(part.height, &out)
      row.cell(part.quality, &out)
      row.cell(part.intra ? 1 : 0, &out)
      row.cell(part.isAbsolute ? 1 : 0, &out)
      row.end(&out)
    }
  }

  private static func writePool(
    _ pool: PacketPoolReport, _ table: VEncTable, _ tables: VEncTables, to out: inout TextWriter
  ) {
    out.bytes(table.heading)
    var row = VEncRow(table)
    row.cell(pool.unused, &out)
    row.cell(pool.used, &out)
    row.cell(pool.total, &out)
    if tables.isNew { row.cell(pool.limit, &out) }
    row.end(&out)
  }

  /// Ten times a rate, to the nearest integer; 0 for what is no rate.
  private static func tenths(_ rate: Double) -> Int {
    rate > 0 && rate < 1e15 ? Int(rate * 10 + 0.5) : 0
  }

  /// The vendor's name of a format of frames; `unknown` for one it has no name for.
  private static func vendorName(_ format: PictureFormat) -> StaticString {
    switch format {
    case .nv12: "YUV420SP"
    case .nv12With10Bits: "YUV420SP10"
    case .nv16: "YUV422SP"
    case .nv16With10Bits: "YUV422SP10"
    case .i420: "YUV420P"
    case .nv21: "YUV420SPVU"
    case .i422: "YUV422P"
    case .nv61: "YUV422SP_VU"
    case .yuyv: "422_YUYV"
    case .yvyu: "422_YVYU"
    case .uyvy: "422_UYVY"
    case .vyuy: "422_VYUY"
    case .grey: "YUV400"
    case .semiPlanar440: "YUV440SP"
    case .semiPlanar411: "YUV411SP"
    case .nv24: "YUV444SP"
    case .rgb565: "RGB565"
    case .bgr565: "BGR565"
    case .rgb555: "RGB555"
    case .bgr555: "BGR555"
    case .rgb444: "RGB444"
    case .bgr444: "BGR444"
    case .rgb888: "RGB888"
    case .bgr888: "BGR888"
    case .rgb101010: "RGB101010"
    case .bgr101010: "BGR101010"
    case .argb8888: "ARGB8888"
    case .abgr8888: "ABGR8888"
    case .bgra8888: "BGRA8888"
    case .rgba8888: "RGBA8888"
    case .argb4444, .abgr4444, .rgba4444, .bgra4444, .argb1555, .abgr1555, .rgba5551, .bgra5551, .palette2, .other:
      "unknown"
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import Reports

// The rate-control tables of `venc_info`. JPEG channels have them too.
extension VEncInfoPage {
  static func writeRateControl(_ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter) {
    let rate = channel.rateControl
    // "smart" came after May 2022: there it is a mode like the others, without tables of its own.
    let isSmart = rate.mode == .smart && tables.isNew
    writeBase(channel, isSmart, tables, to: &out)
    if !isSmart { writeCommon(channel, tables, to: &out) }

    out.bytes(tables.gop.heading)
    var row = VEncRow(tables.gop)
    row.cell(channel.channel, &out)
    row.name(rate.gopMode.rawValue, &out)
    row.cell(rate.keyQPDelta, &out)
    row.cell(rate.gopMode == .smartP ? rate.backgroundInterval : nil, &out)
    row.cell(rate.gopMode == .smartP ? rate.virtualKeyQPDelta : nil, &out)
    row.end(&out)

    writeMode(channel, isSmart, tables, to: &out)
    writeRest(channel, tables, to: &out)
    guard !isSmart else { return }

    let run = rate.run
    out.bytes(tables.run.heading)
    row = VEncRow(tables.run)
    row.cell(channel.channel, &out)
    row.cell(run.currentBitsPerSecond.map { $0 / 1000 }, &out)
    row.cell(run.currentFrameRate, &out)
    row.cell(run.waterLevel, &out)
    row.cell(run.targetBitsPerSecond.map { $0 / 1000 }, &out)
    row.cell(run.previousBitsPerSecond.map { $0 / 1000 }, &out)
    row.cell(run.keyToPredictedPercent, &out)
    row.cell(run.startQP, &out)
    row.cell(run.minimumQP, &out)
    row.cell(run.maximumQP, &out)
    row.end(&out)
  }

  private static func writeBase(
    _ channel: EncoderReport, _ isSmart: Bool, _ tables: VEncTables, to out: inout TextWriter
  ) {
    let rate = channel.rateControl
    let table = isSmart ? tables.base1Smart : tables.base1
    out.bytes(table.heading)
    var row = VEncRow(table)
    row.cell(channel.channel, &out)
    row.cell(rate.gop, &out)
    row.cell(rate.windowSeconds, &out)
    row.cell(rate.sourceFrameRate, &out)
    row.cell(rate.targetFrameRate, &out)
    row.name(rate.mode.rawValue, &out)
    if isSmart {
      row.cell(rate.minimumBitsPerSecond.map { $0 / 1000 }, &out)
      row.cell(rate.maximumBitsPerSecond.map { $0 / 1000 }, &out)
    } else {
      // The target of a constant rate, the upper bound of the other modes.
      switch rate.mode {
      case .cbr: row.cell(rate.targetBitsPerSecond.map { $0 / 1000 }, &out)
      case .vbr, .avbr, .smart: row.cell(rate.maximumBitsPerSecond.map { $0 / 1000 }, &out)
      case .fixqp: row.cell(nil as Int?, &out)
      }
    }
    row.cell(rate.mode == .fixqp ? rate.fixedKeyQP : nil, &out)
    row.cell(rate.mode == .fixqp ? rate.fixedPredictedQP : nil, &out)
    row.end(&out)
  }

  private static func writeCommon(_ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter) {
    let rate = channel.rateControl
    out.bytes(tables.base2.heading)
    var row = VEncRow(tables.base2)
    row.cell(channel.channel, &out)
    row.cell(rate.limits.minimum, &out)
    row.cell(rate.limits.maximum, &out)
    row.cell(rate.limits.minimumKey, &out)
    row.cell(rate.limits.maximumKey, &out)
    row.flag(rate.sendsIDR, &out)
    row.end(&out)

    out.bytes(tables.common1.heading)
    row = VEncRow(tables.common1)
    row.cell(channel.channel, &out)
    switch rate.lossMode {
    case .none: row.cell("N", &out)
    case .normal: row.cell("normal", &out)
    case .skip: row.cell("pskip", &out)
    }
    row.cell(rate.lossThreshold, &out)
    row.cell(rate.framesLostInARow, &out)
    row.cell(rate.maximumLostInARow, &out)
    row.end(&out)

    out.bytes(tables.common2.heading)
    row = VEncRow(tables.common2)
    row.cell(channel.channel, &out)
    // The unit of the two bounds beside it.
    row.cell("bit", &out)
    row.cell(rate.largeKeyFrameBits, &out)
    row.cell(rate.largePredictedFrameBits, &out)
    row.cell(rate.priority.rawValue, &out)
    row.end(&out)
  }

  private static func writeMode(
    _ channel: EncoderReport, _ isSmart: Bool, _ tables: VEncTables, to out: inout TextWriter
  ) {
    let rate = channel.rateControl
    switch rate.mode {
    case .cbr, .vbr:
      let table = rate.mode == .cbr ? tables.cbr : tables.vbr
      out.bytes(table.heading)
      var row = VEncRow(table)
      row.cell(channel.channel, &out)
      if rate.mode == .vbr { row.cell(rate.changePercent, &out) }
      row.cell(rate.minimumKeyRatio, &out)
      row.cell(rate.maximumKeyRatio, &out)
      // May 2022 printed the lowest QP under MaxQp and the highest under MinQp.
      row.cell(tables.isNew ? rate.limits.maximum : rate.limits.minimum, &out)
      row.cell(tables.isNew ? rate.limits.minimum : rate.limits.maximum, &out)
      row.cell(rate.limits.maximumKey, &out)
      row.cell(rate.limits.minimumKey, &out)
      if tables.isNew { writeFrameLimits(rate.frameLimits, &row, to: &out) }
      row.cell(rate.maximumReencodes, &out)
      row.end(&out)
    case .avbr:
      out.bytes(tables.avbr.heading)
      var row = VEncRow(tables.avbr)
      row.cell(channel.channel, &out)
      row.cell(rate.adaptive.maximumStillQP, &out)
      row.cell(rate.adaptive.motionSensitivity, &out)
      row.cell(rate.adaptive.minimumPercent, &out)
      row.cell(rate.adaptive.minimumQPDelta, &out)
      row.end(&out)
    case .smart:
      guard isSmart else { return }
      out.bytes(tables.smart.heading)
      var row = VEncRow(tables.smart)
      row.cell(channel.channel, &out)
      row.cell(rate.limits.maximum, &out)
      row.cell(rate.limits.minimum, &out)
      row.cell(rate.limits.maximumKey, &out)
      row.cell(rate.limits.minimumKey, &out)
      writeFrameLimits(rate.frameLimits, &row, to: &out)
      row.cell(rate.maximumReencodes, &out)
      row.end(&out)
    case .fixqp: break
    }
  }

  private static func writeFrameLimits(_ limits: QPLimits, _ row: inout VEncRow, to out: inout TextWriter) {
    row.cell(limits.maximum, &out)
    row.cell(limits.minimum, &out)
    row.cell(limits.maximumKey, &out)
    row.cell(limits.minimumKey, &out)
  }

  /// QP by layer, and reduction of the visible pulse at key frames.
  private static func writeRest(_ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter) {
    out.bytes(tables.hierarchy.heading)
    var row = VEncRow(tables.hierarchy)
    row.cell(channel.channel, &out)
    let layers = channel.rateControl.layers
    row.flag(layers.isEnabled, &out)
    for value in layers.frameCounts + layers.deltas { row.cell(value, &out) }
    row.end(&out)

    out.bytes(tables.breathing.heading)
    row = VEncRow(tables.breathing)
    row.cell(channel.channel, &out)
    let strength = channel.rateControl.breathingStrength
    row.flag(strength != nil, &out)
    row.cell(strength, &out)
    // The vendor's driver never counts it.
    row.cell(0, &out)
    row.end(&out)
  }
}

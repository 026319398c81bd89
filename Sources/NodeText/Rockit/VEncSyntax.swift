// SPDX-License-Identifier: Apache-2.0

import Reports

// The tables of `venc_info` that depend on the coded format.
extension VEncInfoPage {
  static func writeSyntax(_ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter) {
    switch channel.syntax {
    case .h264(let syntax): writeH264(syntax, channel, tables, to: &out)
    case .h265(let syntax): writeH265(syntax, channel, tables, to: &out)
    case .jpeg(let syntax): writeJPEG(syntax, channel, tables, to: &out)
    case .other: break
    }
  }

  private static func writeH264(
    _ syntax: H264Syntax, _ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter
  ) {
    writeSize(channel, syntax.profile, tables.h264, to: &out)
    writeSlices(channel, tables.h264Slices, to: &out)
    out.bytes(tables.h264Syntax.heading)
    var row = VEncRow(tables.h264Syntax)
    row.cell(channel.channel, &out)
    row.name(syntax.profile ?? "unknown", &out)
    row.flag(syntax.cabac, &out)
    row.flag(syntax.transform8x8, &out)
    row.flag(syntax.scalingMatrix, &out)
    row.cell(syntax.pictureOrderCountType, &out)
    row.cell(syntax.alphaOffset, &out)
    row.cell(syntax.betaOffset, &out)
    row.end(&out)
  }

  private static func writeH265(
    _ syntax: H265Syntax, _ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter
  ) {
    writeSize(channel, syntax.profile, tables.h265, to: &out)
    writeSlices(channel, tables.h265Slices, to: &out)
    out.bytes(tables.h265Syntax.heading)
    var row = VEncRow(tables.h265Syntax)
    row.cell(channel.channel, &out)
    row.flag(syntax.deblocking, &out)
    row.cell(syntax.tcOffset, &out)
    row.cell(syntax.betaOffset, &out)
    // The vendor prints the flags that switch these off.
    row.cell(syntax.saoLuma.map { $0 ? 0 : 1 }, &out)
    row.cell(syntax.saoChroma.map { $0 ? 0 : 1 }, &out)
    row.cell(syntax.strongIntraSmoothing.map { $0 ? 0 : 1 }, &out)
    row.end(&out)

    out.bytes(tables.transform.heading)
    row = VEncRow(tables.transform)
    row.cell(channel.channel, &out)
    row.cell(syntax.cbQPOffset, &out)
    row.cell(syntax.crQPOffset, &out)
    row.end(&out)
  }

  private static func writeJPEG(
    _ syntax: JPEGSyntax, _ channel: EncoderReport, _ tables: VEncTables, to out: inout TextWriter
  ) {
    out.bytes(tables.jpeg.heading)
    var row = VEncRow(tables.jpeg)
    row.cell(channel.channel, &out)
    row.cell(channel.attributes.width, &out)
    row.cell(channel.attributes.height, &out)
    row.cell(syntax.quantiser, &out)
    row.cell(syntax.quality, &out)
    row.cell(syntax.maximumQuality, &out)
    row.cell(syntax.minimumQuality, &out)
    row.end(&out)
  }

  private static func writeSize(
    _ channel: EncoderReport, _ profile: String?, _ table: VEncTable, to out: inout TextWriter
  ) {
    out.bytes(table.heading)
    var row = VEncRow(table)
    row.cell(channel.channel, &out)
    row.cell(channel.attributes.width, &out)
    row.cell(channel.attributes.height, &out)
    row.name(profile ?? "unknown", &out)
    row.end(&out)
  }

  /// The vendor prints `N`, 0 and 0, as its encoders refresh nothing; the mode's numbers are those of its interface: 0 rows, 1 columns.
  private static func writeSlices(_ channel: EncoderReport, _ table: VEncTable, to out: inout TextWriter) {
    out.bytes(table.heading)
    var row = VEncRow(table)
    row.cell(channel.channel, &out)
    row.flag(channel.attributes.sliceMode != .none, &out)
    row.cell(channel.attributes.sliceMode.rawValue, &out)
    row.cell(channel.attributes.sliceSize, &out)
    let refreshed = channel.attributes.refreshedColumns
    row.flag(refreshed != nil, &out)
    row.cell(refreshed == nil ? 0 : 1, &out)
    row.cell(refreshed ?? 0, &out)
    row.end(&out)
  }
}

// SPDX-License-Identifier: Apache-2.0

import NodeText
import Reports
import TestSupport
import Testing

@Suite("venc_info beyond the sample", .ownThread)
struct VEncInfoTests {
  private func page(_ channels: [EncoderReport], _ dialect: Dialect) -> [Substring] {
    lines(rendered { VEncInfoPage.write(EncodersReport(channels: channels), dialect: dialect, to: &$0) })
  }

  /// Titles in order, without their dashes.
  private func titles(_ page: [Substring]) -> [String] {
    page.filter { $0.hasPrefix("-----") }.map { $0.split(separator: "-", omittingEmptySubsequences: true).joined() }
  }

  /// The header row and the first value row under a title, or nil.
  private func table(_ page: [Substring], _ title: String) -> (header: Substring, values: Substring)? {
    guard let index = page.firstIndex(where: { $0.contains("-\(title)-") }), index + 2 < page.count else { return nil }
    return (page[index + 1], page[index + 2])
  }

  private func cells(_ row: Substring?) -> [Substring] {
    (row ?? "").split(whereSeparator: { $0 == " " || $0 == "|" })
  }

  private static let common = [
    "venc chn runing status", "venc chn attr 1", "venc chn attr 2", "ring buf status", "hw status",
  ]
  private static let rate = [
    "RC base param 1", "RC base param 2", "RC run comm param 1", "RC run comm param 2", "RC gop mode attr",
  ]
  private static let rest = ["RC HierarchicalQp INFO", "RC debreath_effect info", "RC run info1"]

  @Test(arguments: Dialect.allCases)
  func h264ChannelsHaveTheirSections(_ dialect: Dialect) {
    let text = page([Sample.encoder(codec: .h264, syntax: .h264(Sample.h264), mode: .vbr)], dialect)
    #expect(
      titles(text) == Self.common + ["h264e chn attr", "Syntax INFO1", "Syntax INFO2"] + Self.rate
        + ["RC run vbr common param"] + Self.rest)
    #expect(cells(table(text, "h264e chn attr")?.values) == ["0", "1920", "1080", "high"])
    #expect(cells(table(text, "Syntax INFO2")?.values) == ["0", "high", "Y", "Y", "N", "2", "0", "-1"])
    #expect(text.contains { $0.hasPrefix("-----Syntax INFO2-") && $0.count == 98 })
    // The upper bound of the rate, not the target.
    #expect(cells(table(text, "RC base param 1")?.values)[6] == "6000")
    #expect(cells(table(text, "RC run vbr common param")?.values)[1] == "80")
  }

  @Test(arguments: Dialect.allCases)
  func mjpegChannelsHaveTheRateControlSectionsToo(_ dialect: Dialect) {
    var channel = Sample.encoder(codec: .mjpeg, syntax: .jpeg(Sample.jpeg), mode: .fixqp)
    channel.rateControl.gop = nil
    let text = page([channel], dialect)
    #expect(titles(text) == Self.common + ["jpege chn attr"] + Self.rate + Self.rest)
    #expect(cells(table(text, "jpege chn attr")?.values) == ["0", "1920", "1080", "0", "70", "99", "30"])
    // No bitrate, but the two fixed quantisers.
    #expect(cells(table(text, "RC base param 1")?.values) == ["0", "N/A", "3", "30", "30", "fixqp", "N/A", "28", "30"])
  }

  @Test(arguments: Dialect.allCases)
  func avbrShowsItsOwnParameters(_ dialect: Dialect) {
    var channel = Sample.encoder(mode: .avbr)
    channel.rateControl.adaptive.maximumStillQP = 35
    channel.rateControl.adaptive.motionSensitivity = 50
    channel.rateControl.adaptive.minimumPercent = 25
    channel.rateControl.adaptive.minimumQPDelta = 0
    let text = page([channel], dialect)
    #expect(cells(table(text, "RC run avbr param")?.values) == ["0", "35", "50", "25", "0"])
    #expect(table(text, "RC run avbr param")?.values.hasSuffix("0 ") == true, "both rows end with a blank")
    #expect(table(text, "RC run avbr param")?.header.hasSuffix("MinQpDelta ") == true)
  }

  @Test func smartModeHasOtherSectionsInTheNewerLayout() {
    let text = page([Sample.encoder(mode: .smart)], .rockit1481)
    #expect(
      titles(text).suffix(5)
        == [
          "RC base param 1", "RC gop mode attr", "RC run smart common param", "RC HierarchicalQp INFO",
          "RC debreath_effect info",
        ])
    #expect(
      cells(table(text, "RC base param 1")?.values) == [
        "0", "60", "3", "30", "30", "smart", "2000", "6000", "N/A", "N/A",
      ])
    #expect(
      cells(table(text, "RC run smart common param")?.values)
        == ["0", "51", "20", "48", "20", "51", "28", "51", "28", "0"])
    #expect(text.contains { $0.contains("RC run smart common param") && $0.count == 100 })
  }

  @Test func smartPFillsTheGopSection() {
    var channel = Sample.encoder()
    channel.rateControl.gopMode = .smartP
    channel.attributes.gopMode = .smartP
    channel.rateControl.backgroundInterval = 300
    channel.rateControl.virtualKeyQPDelta = 2
    let text = page([channel], .rockit1432)
    #expect(cells(table(text, "RC gop mode attr")?.values) == ["0", "smartp", "2", "300", "2"])
    #expect(cells(table(text, "venc chn attr 1")?.values)[6] == "smartp")
  }

  @Test func onlyTheOlderLayoutExchangesTheBoundsOfTheQP() {
    for (dialect, values) in [(Dialect.rockit1432, ["20", "51"]), (.rockit1481, ["51", "20"])] {
      for (mode, title, at) in [
        (RateControlMode.cbr, "RC run cbr param", 3), (.vbr, "RC run vbr common param", 4),
      ] {
        let text = page([Sample.encoder(mode: mode)], dialect)
        #expect(cells(table(text, title)?.header)[at...(at + 1)] == ["MaxQp", "MinQp"])
        #expect(cells(table(text, title)?.values)[at...(at + 1)].map(String.init) == values)
        #expect(cells(table(text, "RC base param 2")?.values)[1...2] == ["20", "51"], "right in both")
      }
    }
  }

  @Test(arguments: Dialect.allCases)
  func aChannelWithoutARingHasNoRingSection(_ dialect: Dialect) {
    var channel = Sample.encoder()
    channel.ring = nil
    #expect(!titles(page([channel], dialect)).contains("ring buf status"))
  }

  @Test(arguments: Dialect.allCases)
  func whatTheEngineDoesNotTellIsNotAvailable(_ dialect: Dialect) {
    var channel = Sample.encoder(codec: .h264, syntax: .h264(H264Syntax()))
    channel.rateControl = RateControlReport(mode: .cbr)
    let text = page([channel], dialect)
    #expect(cells(table(text, "Syntax INFO2")?.values) == ["0", "unknown", "N/A", "N/A", "N/A", "N/A", "N/A", "N/A"])
    #expect(cells(table(text, "RC run info1")?.values) == ["0"] + Array(repeating: "N/A", count: 9))
    #expect(cells(table(text, "RC base param 1")?.values) == ["0", "N/A", "N/A", "0", "0", "cbr", "N/A", "N/A", "N/A"])
    #expect(cells(table(text, "RC debreath_effect info")?.values) == ["0", "N", "N/A", "0"])
  }

  @Test func regionsOfInterestHaveARowEach() {
    var channel = Sample.encoder()
    channel.regionsOfInterest = (0..<3).map {
      RegionOfInterest(index: $0, x: 16, y: 32, width: 64, height: 48, quality: -5, intra: true)
    }
    let text = page([channel], .rockit1481)
    #expect(cells(table(text, "venc roi attr ")?.values) == ["0", "0", "16", "32", "64", "48", "-5", "1", "0"])
    #expect(text.filter { $0.hasPrefix("       0|") && $0.contains("|      16|") }.count == 3)
    #expect(!titles(page([channel], .rockit1432)).contains("venc roi attr "), "came after May 2022")
  }

  @Test(arguments: Dialect.allCases)
  func refreshesAndBackgroundsAreShownWhereThereAreAny(_ dialect: Dialect) {
    var channel = Sample.encoder(codec: .h264, syntax: .h264(H264Syntax()))
    (channel.attributes.sliceMode, channel.attributes.sliceSize) = (.none, 0)
    func shown(_ title: String) -> [Substring] { cells(table(page([channel], dialect), title)?.values) }
    channel.attributes.refreshedColumns = nil
    #expect(shown("Syntax INFO1") == ["0", "N", "0", "0", "N", "0", "0"])
    channel.attributes.refreshedColumns = 3
    #expect(shown("Syntax INFO1") == ["0", "N", "0", "0", "Y", "1", "3"])
    (channel.rateControl.gopMode, channel.rateControl.backgroundInterval) = (.smartP, 600)
    (channel.rateControl.keyQPDelta, channel.rateControl.virtualKeyQPDelta) = (nil, nil)
    #expect(shown("RC gop mode attr") == ["0", "smartp", "N/A", "600", "N/A"])
  }

  @Test(arguments: Dialect.allCases)
  func everyValueStandsInOrderAlsoWhenItIsTooLong(_ dialect: Dialect) {
    var channel = Sample.encoder(channel: 123_456_789)
    channel.attributes.sequence = .max
    channel.attributes.width = 1_234_567_890_123
    let row = table(page([channel], dialect), "venc chn attr 1")?.values ?? ""
    #expect(row.contains("123456789"))
    #expect(row.contains("1234567890123"))
    #expect(row.contains("18446744073709551615"))
    if dialect == .rockit1481 { #expect(row.split(separator: "|").count == 12) }
  }

  @Test(arguments: Dialect.allCases)
  func grepForRealFpsFindsTheValuesRightBelow(_ dialect: Dialect) {
    var channels = (0..<3).map { Sample.encoder(channel: $0, codec: .h264, syntax: .h264(Sample.h264)) }
    channels[1].attributes.measuredFrameRate = 29.46
    channels[2].attributes.measuredFrameRate = 0
    let text = page(channels, dialect)
    // What `grep -A 2 RealFps` gives: the header, the values, a blank line; for each channel.
    let hits = text.indices.filter { text[$0].contains("RealFps") }
    #expect(hits.count == 3)
    for (hit, expected) in zip(hits, ["300", "295", "0"]) {
      #expect(cells(text[hit]).count == cells(text[hit + 1]).count)
      #expect(cells(text[hit + 1])[6] == expected)
      #expect(text[hit + 2] == "")
    }
  }

  @Test(arguments: Dialect.allCases)
  func titlesHaveTheVendorsWidths(_ dialect: Dialect) {
    let codecs: [(CodedFormat, EncoderSyntax)] = [
      (.h264, .h264(Sample.h264)), (.h265, .h265(Sample.h265)), (.mjpeg, .jpeg(Sample.jpeg)),
    ]
    var checked: Set<String> = []
    for (codec, syntax) in codecs {
      for mode in RateControlMode.allCases {
        var report = Sample.encoders(dialect)
        report.channels = [Sample.encoder(codec: codec, syntax: syntax, mode: mode)]
        report.channels[0].regionsOfInterest = [
          RegionOfInterest(index: 0, x: 0, y: 0, width: 16, height: 16, quality: 0)
        ]
        let all = lines(rendered { VEncInfoPage.write(report, dialect: dialect, to: &$0) })
        for line in all where line.hasPrefix("-----") {
          let title = line.drop { $0 == "-" }.prefix { $0 != "-" }
          checked.insert(String(title))
          let (lead, total) =
            switch title {
            case "Syntax INFO1" where codec == .h265: (8, 97)
            case "Syntax INFO2" where codec == .h264: (5, 98)
            case "Trans INFO": (6, 99)
            case "packet_pool": (8, 94)
            case "mpp_frame pool": (8, 97)
            case "RC run smart common param": (9, 100)
            case "RC HierarchicalQp INFO", "RC debreath_effect info", "RC run info1": (8, 98)
            case _ where title.hasPrefix("RC "): (9, 98)
            default: (8, 98)
            }
          #expect(line.count == total, "\(title)")
          #expect(line.prefix { $0 == "-" }.count == lead, "\(title)")
        }
      }
    }
    #expect(checked.count == (dialect == .rockit1432 ? 24 : 28))
  }

  @Test func barsStandAtTheSamePlacesInHeaderAndValues() {
    let codecs: [(CodedFormat, EncoderSyntax)] = [
      (.h264, .h264(Sample.h264)), (.h265, .h265(Sample.h265)), (.mjpeg, .jpeg(Sample.jpeg)),
    ]
    for (codec, syntax) in codecs {
      for mode in RateControlMode.allCases {
        let text = page([Sample.encoder(codec: codec, syntax: syntax, mode: mode)], .rockit1481)
        for index in text.indices where text[index].hasPrefix("-----") {
          let header = text[index + 1].split(separator: "|", omittingEmptySubsequences: false)
          let values = text[index + 2].split(separator: "|", omittingEmptySubsequences: false)
          #expect(header.count == values.count, "\(text[index])")
        }
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

import NodeText
import Reports
import TestSupport
import Testing

@testable import NodeText

extension Sample {
  /// The session of an encoder, from buffers of these places and sizes.
  static let encoderSession = {
    let buffers: [(UInt64, UInt64)] = [
      (0xff02_0000, 16200), (0xfe40_0000, 12368), (0xf70b_0000, 12368), (0xfe38_0000, 512), (0xf703_0000, 512),
      (0xef9a_0000, 128), (0xf06f_0000, 16320),
    ]
    var encoder = EncoderReport(
      channel: 0, attributes: EncoderAttributes(codec: .h264), syntax: .h264(H264Syntax()),
      rateControl: RateControlReport(mode: .vbr))
    encoder.attributes.width = 3840
    encoder.attributes.height = 2160
    encoder.attributes.sourceFrameRate = 60
    encoder.attributes.targetFrameRate = 60
    encoder.attributes.measuredFrameRate = 60
    encoder.rateControl.maximumBitsPerSecond = 4_000_000
    encoder.rateControl.gop = 30
    var syntax = H264Syntax()
    syntax.profile = "high"
    encoder.syntax = .h264(syntax)
    return SessionsSummaryPage.Shown(
      processID: 1954, index: 54, device: "fdbd0000.rkvenc-core", unit: "RKVENC",
      buffers: buffers.enumerated().map { index, buffer in
        BufferReport(id: index, references: 1, size: buffer.1 << 10, creator: "mpp", handle: buffer.0)
      }, encoder: encoder)
  }()

  static let services = ServicesReport(
    loadWindow: 1000, timing: 0,
    services: [
      ServiceReport(
        name: "cpu", workers: 4, tasks: 4_294_967_300, load: ServiceLoad(window: 1000, busy: 1455, utilised: 999)),
      ServiceReport(name: "/dev/video11", disabled: .max, slowTask: 500),
    ])

  /// A scaler group on the CPU, whose pool and one of whose outputs hold buffers, and an encoder on a device.
  static let sessions = [
    SessionReport(path: "venc/0", id: 9, service: "/dev/video11", device: "/dev/video11"),
    SessionReport(path: "vpss/0", id: 4, nodes: [4, 5], service: "cpu"),
    SessionReport(path: "venc/7", id: 3, isRunning: false, service: "cpu"),
  ]
}

@Suite("The pages of the codec service", .ownThread)
struct MPPServiceTests {
  private func page(_ name: String, _ dialect: Dialect = .rockit1432) throws -> String {
    let page = try #require(PageTable(dialect).pages.first { $0.paths[0] == "mpp_service/\(name)" })
    return rendered { page.render(Sample.moment(dialect), &$0) }
  }

  private func servicePage(_ name: String, of service: Int) throws -> String {
    let page = try #require(PageTable(.rockit1432).servicePages.first { $0.name == name })
    return rendered { page.render(Sample.services.services[service], Sample.moment(.rockit1432), &$0) }
  }

  // MARK: numbers

  @Test(
    arguments: [
      ("0", 0), ("1\n", 1), ("+7", 7), ("010", 8), ("0x1F\n", 31), ("0Xff", 255), ("4294967295\n", 4_294_967_295),
      ("0xffffffff", 4_294_967_295), ("00000000000000000000000000000000000000005", 5), ("037777777777", 4_294_967_295),
      ("5\0junk", 5),
    ] as [(String, UInt32)])
  func numbersAreReadAsTheKernelDoes(_ text: String, _ value: UInt32) throws {
    #expect(try kernelNumber(Array(text.utf8)) == value)
  }

  @Test(arguments: [
    "", "\n", "-1", "+", "++1", "+-1", " 1", "1 ", "1\n\n", "1\r\n", "08", "0x", "0xg", "x1", "1e3", "1.5", "one",
    "\0", "\u{1}\u{2}", "4294967296x",
  ])
  func rubbishIsNoNumber(_ text: String) {
    #expect {
      try kernelNumber(Array(text.utf8))
    } throws: {
      ($0 as? Intake.Mistake)?.isOutOfRange == false
    }
  }

  @Test(arguments: [
    "4294967296", "0x100000000", "040000000000\n", "18446744073709551615", "18446744073709551616",
    // Too much for 64 bits is found out before the rubbish.
    "99999999999999999999999x",
  ])
  func largeNumbersAreOutOfRange(_ text: String) {
    #expect {
      try kernelNumber(Array(text.utf8))
    } throws: {
      ($0 as? Intake.Mistake)?.isOutOfRange == true
    }
  }

  @Test func bytesThatAreNoTextAreRubbish() {
    #expect(throws: Intake.Mistake.self) { try kernelNumber([0xff, 0xfe, 0x80]) }
    #expect(throws: Intake.Mistake.self) { try kernelNumber(Array(repeating: 0x31, count: 4000)) }
  }

  @Test func numbersReadBackSigned() throws {
    #expect(try page("load_interval") == "1000\n")
    #expect(try page("timing_en") == "0\n")
    #expect(try servicePage("disable_work", of: 0) == "0\n")
    #expect(try servicePage("disable_work", of: 1) == "-1\n")
    #expect(try servicePage("timing_check", of: 1) == "500\n")
    #expect(try servicePage("task_count", of: 0) == "4\n", "32 bits of the count")
  }

  @Test func whatIsWrittenToANumberNamesWhatIsSet() throws {
    let table = PageTable(.rockit1432)
    let interval = try #require(table.pages.first { $0.paths == ["mpp_service/load_interval"] }?.takes)
    #expect(try interval.parse(Array("0x3e8\n".utf8)) == .setServices(.loadWindow, 1000))
    let disable = try #require(table.servicePages.first { $0.name == "disable_work" })
    #expect(
      try disable.intake(of: "/dev/video11")?.parse(Array("1\n".utf8)) == .setService("/dev/video11", .disabled, 1))
    #expect(table.servicePages.first { $0.name == "task_count" }?.intake(of: "cpu") == nil)
  }

  // MARK: load

  @Test func moreThanOneWorkerIsMoreThanAHundredPercent() throws {
    #expect(
      try page("load") == """
        cpu                       load: 145.50% utilization:  99.90%
        video11                   load:   0.00% utilization:   0.00%

        """)
  }

  // MARK: sessions

  @Test func aSessionHasTheBuffersItUsesAndThoseOfItsPools() throws {
    // Buffer 7 is used by nodes 5 and 9, and is of a pool of node 5, as buffer 8 is; of buffer 3 nothing is known.
    let text = try page("sessions-summary", .rockit1481)
    #expect(
      text == """
        session iova range dump:
           0: 0x00000000c1b3ac00..0x00000000c1e321ff (      3037 KiB)
           1: 0x00000000c1b3b000..0x00000000c1e325ff (      3037 KiB)
        session: pid=0 index=4
         device: cpu
         memory: 5 MiB
        session iova range dump:
           0: 0x00000000c1b3ac00..0x00000000c1e321ff (      3037 KiB)
        session: pid=0 index=9
         device: video11
         memory: 2 MiB
        \(String(repeating: "-", count: 108))
        """ + "\n" + table(in: text))
  }

  /// The two lines of the table of the sample's encoder, which other tests look at.
  private func table(in text: String) -> String {
    lines(text).suffix(2).joined(separator: "\n") + "\n"
  }

  @Test func theTableHasTheColumnsThatAreKnown() throws {
    var session = Sample.encoderSession
    session.encoder?.attributes.codec = .mjpeg
    session.encoder?.attributes.width = 0
    session.encoder?.rateControl.gop = nil
    session.encoder?.rateControl.maximumBitsPerSecond = nil
    session.encoder?.attributes.measuredFrameRate = 29.974
    session.encoder?.syntax = .jpeg(JPEGSyntax())
    let text = rendered { SessionsSummaryPage.write([session], hasTotals: false, to: &$0) }
    #expect(
      table(in: text) == """
        | session|  device|  height|  format|  fps_in| fps_out| rc_mode|fps_calc|
        |      54|  RKVENC|    2160|   mjpeg|      60|      60|     vbr|   29.97|

        """)
  }

  @Test func theOlderVariantSaysWhatEachDeviceHolds() throws {
    let older = try page("sessions-summary", .rockit1432)
    let newer = try page("sessions-summary", .rockit1481)
    // Buffer 7 is the encoder's and the group's: each device's line counts it, none counts it twice.
    #expect(older == newer + "cpu Total: 6075 KiB\nvideo11 Total: 3037 KiB\n")
    var session = Sample.encoderSession
    session.device = "fdc38100.rkvdec-core"
    session.encoder = nil
    session.buffers = [BufferReport(id: 1, references: 1, size: 699_760 << 10, creator: "mpp")]
    let text = rendered { SessionsSummaryPage.write([session, session], hasTotals: true, to: &$0) }
    #expect(text.hasSuffix("\n memory: 683 MiB\nfdc38100.rkvdec-core Total: 699760 KiB\n"))
  }

  @Test func smallBuffersAreInBytesAndPlacesAreTheIdsOfBuffers() {
    var session = Sample.encoderSession
    session.encoder = nil
    session.buffers = [
      BufferReport(id: 5, references: 1, size: 1023, creator: "mpp"),
      BufferReport(id: 6, references: 1, size: 1024, creator: "mpp"),
    ]
    let text = rendered { SessionsSummaryPage.write([session], hasTotals: false, to: &$0) }
    #expect(
      text == """
        session iova range dump:
           0: 0x0000000010000005..0x0000000010000403 (      1023 Bytes)
           1: 0x0000000010000006..0x0000000010000405 (         1 KiB)
        session: pid=1954 index=54
         device: fdbd0000.rkvenc-core
         memory: 0 MiB

        """)
  }

  @Test func nothingRunsNothingIsShown() {
    #expect(rendered { SessionsSummaryPage.write([], hasTotals: true, to: &$0) } == "")
  }

  @Test func theTablesOfAServiceAreThoseOfItsEncoders() throws {
    #expect(try servicePage("sessions-info", of: 0) == "")
    let info = lines(try servicePage("sessions-info", of: 1))
    #expect(info.count == 3 && info[0] == String(repeating: "-", count: 108))
    #expect(info[2].hasPrefix("|       9| video11|"))
    #expect(try page("sessions-summary", .rockit1481).hasSuffix(info.joined(separator: "\n") + "\n"))
  }

  // MARK: the others

  @Test func onlyWhatIsDoneHereIsSupported() throws {
    #expect(
      try lines(page("supports-device")) == [
        "---- SUPPORT DEVICES ----", "DEVICE[ 9]:RKVDEC    ", "DEVICE[13]:RKJPEGD   ", "DEVICE[16]:RKVENC    ",
        "DEVICE[20]:RKJPEGE   ",
      ])
    #expect(rendered { SupportsDevicePage.write(CodingReport(), to: &$0) } == "---- SUPPORT DEVICES ----\n")
  }

  @Test func theVersionIsOneLine() throws {
    #expect(try page("version") == "vmpi 1.4.32 9093280df536e902dd5125cdc9953509ebc59a74\n")
  }
}

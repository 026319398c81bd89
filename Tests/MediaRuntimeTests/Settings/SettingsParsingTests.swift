// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

private let table = SettingsTable(.listed)

/// An object of each kind.
private let objects = [
  "vi/N": "vi/0", "vpss/N": "vpss/0", "vpss/N/M": "vpss/0/1", "venc/N": "venc/0", "vo/N": "vo/0", "vda/N": "vda/0",
  "rgn/N": "rgn/0", "rgn/N/attach/M": "rgn/0/attach/venc-0", "vb/N": "vb/0",
]

private func path(_ text: String) -> ObjectPath { ObjectPath(text)! }

private func parse(_ object: String, _ key: String, _ bytes: [UInt8]) -> Result<SettingValue, Refusal> {
  Result { () throws(Refusal) in try table.parse(path(object), key, bytes) }
}

/// What is no value of any setting of a type, with the errno each must get.
private func bad(_ type: SettingType) -> [(String, Errno)] {
  var values: [(String, Errno)] = [
    ("a\nb", .invalidArgument), ("1\n\n", .invalidArgument), ("1\r1\n", .invalidArgument), ("\u{7f}", .invalidArgument),
    ("1\0", .invalidArgument), ("\0", .invalidArgument), (String(repeating: "9", count: 65536), .argListTooLong),
    ("\u{1b}[31m", .invalidArgument),
  ]
  let words: [(String, Errno)] = [
    (" x", .invalidArgument), ("x", .invalidArgument), ("0x10", .invalidArgument), ("1e3", .invalidArgument),
    ("nan", .invalidArgument), ("--", .invalidArgument), ("../../etc", .invalidArgument), ("%s%n", .invalidArgument),
    ("$(reboot)", .invalidArgument), ("٣", .invalidArgument),
  ]
  switch type {
  case .nothing: return []
  case .trigger: values += words + [("2", .invalidArgument), ("0", .invalidArgument), ("true", .invalidArgument)]
  case .boolean:
    values +=
      words + [
        ("", .invalidArgument), ("2", .invalidArgument), ("-1", .invalidArgument),
        ("true", .invalidArgument), ("on", .invalidArgument), ("01", .invalidArgument), (" 1", .invalidArgument),
      ]
  case .integer(let range, let step, let off):
    values +=
      words + [
        ("", .invalidArgument), ("\(range.upperBound + step)", .outOfRange),
        ("2M", .invalidArgument), ("4000kbps", .invalidArgument), ("4000 kbps", .invalidArgument),
        ("1.5", .invalidArgument), ("1,5", .invalidArgument), ("+16", .invalidArgument), ("016", .invalidArgument),
        ("99999999999999999999999", .outOfRange), ("-99999999999999999999999", .outOfRange),
        ("\(min(range.lowerBound, 0) - 2)", .outOfRange),
      ]
    if range.lowerBound > 0 { values.append(("\(range.lowerBound - 1)", .outOfRange)) }
    if off == nil, range.lowerBound >= 0 { values.append(("-1", .outOfRange)) }
    if step > 1 { values.append(("\(range.lowerBound + 1)", .invalidArgument)) }
  case .rate:
    values +=
      words + [
        ("", .invalidArgument), ("0", .outOfRange), ("241", .outOfRange), ("30/0", .invalidArgument),
        ("0/1", .outOfRange), ("30/", .invalidArgument), ("/1", .invalidArgument), ("30/1/1", .invalidArgument),
        ("30.", .invalidArgument), (".5", .invalidArgument), ("0.5", .outOfRange), ("30fps", .invalidArgument),
        ("30 fps", .invalidArgument), ("-30", .outOfRange), ("-30/-1", .outOfRange), ("240.001", .outOfRange),
        ("99999999999/99999999", .outOfRange), ("99999999999999999999/1", .outOfRange), ("30,0", .invalidArgument),
      ]
  case .choice(let choices, let elsewhere, let devices):
    values +=
      words + [
        ("", .invalidArgument), ("N" + choices[0].uppercased(), .invalidArgument),
        (" " + choices[0], .invalidArgument),
      ]
    // Digits have no other case.
    if choices[0] != choices[0].uppercased() { values.append((choices[0].uppercased(), .invalidArgument)) }
    values += elsewhere.map { ($0, .notSupported) }
    if devices { values.append(("/dev/video99", .operationNotSupportedByDevice)) }
  case .numbers(let count, let range):
    let good = [String](repeating: "\(range.lowerBound)", count: count)
    let most = [String](repeating: "\(range.upperBound + 1)", count: count)
    values +=
      words + [
        ("", .invalidArgument), (good.dropFirst().joined(separator: ","), .invalidArgument),
        ((good + ["1"]).joined(separator: ","), .invalidArgument), (good.joined(separator: " "), .invalidArgument),
        (good.joined(separator: ", "), .invalidArgument), (good.joined(separator: ",") + ",", .invalidArgument),
        ((good.dropFirst() + ["x"]).joined(separator: ","), .invalidArgument),
        ((good.dropFirst() + [""]).joined(separator: ","), .invalidArgument),
        (most.joined(separator: ","), .outOfRange),
      ]
  case .codedInput:
    values +=
      words + [
        ("", .invalidArgument), ("pattern", .invalidArgument), ("file:", .invalidArgument),
        ("file:a", .invalidArgument),
        ("/dev/video0", .invalidArgument), (" feed", .invalidArgument), ("Feed", .invalidArgument),
      ]
  case .input:
    values +=
      words + [
        ("", .invalidArgument), ("file:", .invalidArgument), ("file:relative", .invalidArgument),
        ("clip.mp4", .invalidArgument), ("Pattern", .invalidArgument),
      ]
  case .deviceFormat:
    values += ["", "x", " x", "RG", "RGGB8", "%s%n", "R GB", "../e", "Auto.", "٣٣"].map { ($0, .invalidArgument) }
  case .rectangle:
    values +=
      words + [
        ("0,0,64", .invalidArgument), ("0,0,64,64,64", .invalidArgument), ("1,0,64,64", .invalidArgument),
        ("0,0,0,0", .outOfRange), ("-2,0,64,64", .outOfRange), ("0,0,99999,64", .outOfRange),
        ("16000,0,640,64", .outOfRange), ("0, 0, 64, 64", .invalidArgument), ("64x64", .invalidArgument),
        ("0,0,64,64.0", .invalidArgument),
      ]
  case .part:
    values += bad(.rectangle(limit: 16384)).filter { $0.0 != "" }
    values += [
      ("0,0,500,500 per mille", .invalidArgument), ("0,0,500,500  permille", .invalidArgument),
      ("0,0,500,500permille", .invalidArgument), ("0,0,500,500 Permille", .invalidArgument),
      (" permille", .invalidArgument), ("permille", .invalidArgument),
      ("0,0,500 permille", .invalidArgument), ("0,0,500,500,500 permille", .invalidArgument),
      ("0,0,1001,500 permille", .outOfRange), ("0,0,0,500 permille", .outOfRange),
      ("501,0,500,1000 permille", .outOfRange), ("0,1000,1000,1 permille", .outOfRange),
      ("-1,0,500,500 permille", .outOfRange), ("0,0,99999999999999999999,1 permille", .outOfRange),
    ]
  case .region:
    values +=
      words + [
        ("", .invalidArgument), ("0,0,64,64", .invalidArgument), ("0,0,64,64 22", .invalidArgument),
        ("0,0,64,64 abs", .invalidArgument), ("0,0,64,64 max 22", .invalidArgument),
        ("0,0,64,64  abs 22", .invalidArgument), ("0,0,64,64 rel +6", .invalidArgument),
        ("1,0,64,64 abs 22", .invalidArgument), ("0,0,64 abs 22", .invalidArgument), ("Off", .invalidArgument),
        ("0,0,64,64 abs 52", .outOfRange), ("0,0,64,64 abs -1", .outOfRange), ("0,0,64,64 rel -52", .outOfRange),
        ("0,0,64,64 rel 52", .outOfRange), ("0,0,8,64 abs 22", .outOfRange), ("16000,0,640,64 abs 22", .outOfRange),
      ]
  case .display(let setting):
    values +=
      words + [
        ("", .invalidArgument), (" auto", .invalidArgument), ("HDMI A", .invalidArgument), ("card0/", .invalidArgument),
        ("/dev/dri/card0\u{301}", .invalidArgument), ("../dri/card0", .invalidArgument),
        ("1280x720@60Hz!", .invalidArgument),
      ]
    if setting == .device {
      values += ["/dev/dri/card", "/dev/dri/card00", "/dev/dri/card-1", "/dev/video0", "/dev/dri/renderD128"].map {
        ($0, .invalidArgument)
      }
    }
  case .drawing(let setting):
    switch setting {
    case .color:
      values +=
        words + [
          ("", .invalidArgument), ("red", .invalidArgument), ("#12345", .invalidArgument),
          ("#1234567", .invalidArgument),
          ("123456", .invalidArgument), ("#12345g", .invalidArgument), (" #123456", .invalidArgument),
          ("#+12345", .invalidArgument),
        ]
    case .palette(let count):
      let good = [String](repeating: "#123456", count: count)
      values +=
        words + [
          ("", .invalidArgument), (good.dropFirst().joined(separator: ","), .invalidArgument),
          ((good + ["#000000"]).joined(separator: ","), .invalidArgument),
          (good.joined(separator: ", "), .invalidArgument),
        ]
    case .points:
      values +=
        words + [
          ("0,0", .invalidArgument), ("0,0  1,1", .invalidArgument), ("0,0,1,1", .invalidArgument),
          ("0,0 1,1 2,2", .invalidArgument), ("0,0 1,01", .invalidArgument), ("0,0 1,+1", .invalidArgument),
          ("0,0 -0,1", .invalidArgument), ("0,0 16385,1", .outOfRange), ("0,0 1,-16385", .outOfRange),
          ("0,0 1,99999999999999999999", .invalidArgument),
        ]
    case .line(let limit): values.append((String(repeating: "a", count: limit + 1), .argListTooLong))
    case .path:
      values += ["logo.png", "./logo.png", "file:/logo.png", " /logo.png"].map { ($0, .invalidArgument) }
    }
  case .pool:
    values +=
      words + [
        ("vb", .invalidArgument), ("vb/64", .outOfRange), ("vb/00", .invalidArgument), ("vi/1", .invalidArgument),
        ("vpss/0/0", .invalidArgument), (" vb/0", .invalidArgument), ("vb/0/0", .invalidArgument),
        ("/vb/0", .invalidArgument), ("vb/-1", .invalidArgument),
      ]
  case .source:
    values +=
      words + [
        ("vi", .invalidArgument), ("vi/64", .outOfRange), ("vi/00", .invalidArgument),
        ("vpss/1", .invalidArgument), ("venc/1", .invalidArgument), ("vpss/0/4", .outOfRange),
        (" vi/0", .invalidArgument), ("vi/0/0", .invalidArgument), ("/vi/0", .invalidArgument),
        ("vi/-1", .invalidArgument),
      ]
  }
  return values
}

@Suite(.ownThread) struct SettingsParsingTests {
  @Test func whatEditorsAndTerminalsLeaveAtTheEndIsNoPartOfTheValue() {
    for end in ["", "\n", " ", " \n", "\r\n", " \t \r\n"] {
      for (object, key, text) in [("venc/0", "gop", "30"), ("venc/0", "codec", "h264"), ("vi/0", "input", "pattern")] {
        guard case .success(let value) = parse(object, key, Array((text + end).utf8)) else {
          Issue.record("\(object)/\(key) did not take \((text + end).debugDescription)")
          continue
        }
        #expect(value == (text == "30" ? .integer(30) : .text(text)))
      }
    }
  }

  @Test func settingsOfRegionsTakeWhatTheyMeanAndNothingElse() throws {
    let table = SettingsTable(
      EngineCatalogue(painter: ScriptedPainter(), textRenderer: { () throws(Failure) in ScriptedText() }))
    let rows = table.settings(ObjectType("rgn")) + table.settings(ObjectType("rgn").attachments)
    #expect(rows.count == 21)
    for (object, type) in [("rgn/0", ObjectType("rgn")), ("rgn/0/attach/venc-0", ObjectType("rgn").attachments)] {
      for attribute in table.settings(type) {
        for (text, errno) in bad(attribute.type) {
          do throws(Refusal) {
            _ = try table.parse(path(object), attribute.key, Array(text.utf8))
            Issue.record("\(attribute.key) took \(text.debugDescription)")
          } catch {
            #expect(error.errno == errno, "\(attribute.key) = \(text.debugDescription)")
          }
        }
        // What a default reads as is a value.
        let usual = table.text(type, attribute.key, table.defaults(type)) ?? ""
        #expect(try table.parse(path(object), attribute.key, Array(usual.utf8)) == table.defaults(type)[attribute.key])
      }
    }
  }

  @Test func anObjectIsNotItsOwnSource() {
    for (object, source) in [("vpss/0", "vpss/0"), ("venc/0", "venc/0"), ("vo/0", "vo/0")] {
      guard case .failure(let refusal) = parse(object, "source", Array("\(source)\n".utf8)) else {
        Issue.record("\(source) was taken")
        continue
      }
      #expect(refusal.errno == .tooManySymbolicLinkLevels)
      #expect(refusal.reason == "would make a loop: \(object) <- \(source)")
    }
  }

  @Test func aNumberThatIsNoneSaysWhichThereAre() {
    for (text, hint) in [
      ("vi/64", "objects of vi are numbered 0 to 63"), ("vpss/0/4", "outputs of vpss are numbered 0 to 3"),
      ("vpss/99999999999999999999/0", "objects of vpss are numbered 0 to 63"),
    ] {
      guard case .failure(let refusal) = parse("venc/0", "source", Array(text.utf8)) else {
        Issue.record("\(text) was taken")
        continue
      }
      #expect(refusal.errno == .outOfRange && refusal.reason == "is out of range" && refusal.hint == hint)
    }
    #expect(table.numbering("vi/0") == nil && table.numbering("vi/007") == nil && table.numbering("xi/99") == nil)
  }

  @Test func everyWritableAttributeRefusesItsTableOfBadValues() {
    var checked = 0
    for type in table.types {
      let object = objects[type.pattern]!
      for attribute in table.attributes(type) where attribute.kind == .setting || attribute.kind == .command {
        for (text, errno) in bad(attribute.type) {
          guard case .failure(let refusal) = parse(object, attribute.key, Array(text.utf8)) else {
            Issue.record("\(object)/\(attribute.key) took \(text.prefix(40).debugDescription)")
            continue
          }
          checked += 1
          #expect(refusal.errno == errno, "\(object)/\(attribute.key) \(text.prefix(40).debugDescription): \(refusal)")
          #expect(refusal.path == "\(object)/\(attribute.key)")
          #expect(refusal.value == Array(text.utf8))
          #expect(!refusal.reason.isEmpty)
          #expect(!refusal.hint.isEmpty, "\(refusal)")
        }
        for bytes: [UInt8] in [[0xff, 0xfe], [0xc0, 0x80], [0xe2, 0x82], [0x31, 0x80]] {
          guard case .failure(let refusal) = parse(object, attribute.key, bytes) else {
            Issue.record("\(object)/\(attribute.key) took bytes that are not UTF-8")
            continue
          }
          #expect(refusal.errno == .invalidArgument)
        }
      }
    }
    #expect(checked > 500)
  }

  @Test(arguments: [
    ("2M", "has a unit; the unit is always kbps and is not written"),
    ("4000kbps", "has a unit; the unit is always kbps and is not written"), ("0x10", "is hexadecimal"),
    ("1e3", "has an exponent"), ("2.5", "is not a whole number"), ("", "is empty"), ("1", "is out of range"),
    ("200001", "is out of range"), ("007", "has a leading zero"), ("4 000", "has a blank in it"),
  ])
  func aRefusedBitrateSaysWhatIsWrongAndNamesUnitAndRange(text: String, reason: String) {
    guard case .failure(let refusal) = parse("venc/0", "bitrate", Array(text.utf8)) else {
      Issue.record("taken")
      return
    }
    #expect(refusal.reason == reason)
    #expect(refusal.hint == "a whole decimal number of kbps, 2..200000")
  }

  @Test(arguments: [
    ("30", "30"), ("30/1", "30"), ("60/2", "30"), ("30000/1001", "30000/1001"), ("29.97", "30000/1001"),
    ("29.970", "30000/1001"), ("29.97003", "30000/1001"), ("23.976", "24000/1001"), ("23.98", "24000/1001"),
    ("59.94", "60000/1001"), ("119.88", "120000/1001"), ("12.5", "25/2"), ("25.0", "25"), ("29.9", "299/10"),
    ("1", "1"), ("240", "240"), ("15.015", "3003/200"), ("30\n", "30"), ("29.98", "1499/50"),
  ])
  func aRateReadsBackAsTheReducedFraction(text: String, canonical: String) throws {
    let value = try parse("vi/0", "fps", Array(text.utf8)).get()
    #expect(value.text(table.attribute(.input, "fps")!.type) == canonical)
  }

  @Test func everyDefaultReadsBackAsItself() throws {
    for type in table.types {
      let defaults = table.defaults(type)
      for attribute in table.settings(type) {
        let text = try #require(table.text(type, attribute.key, defaults))
        let value = try SettingsParsingTests.value(attribute, type, text)
        #expect(value == defaults[attribute.key], "\(type.pattern)/\(attribute.key) = \(text)")
      }
    }
  }

  private static func value(_ attribute: Attribute, _ type: ObjectType, _ text: String) throws -> SettingValue {
    let object = objects[type.pattern]!
    return try parse(object, attribute.key, Array(text.utf8)).get()
  }

  @Test func oneTrailingNewlineIsTakenEverywhere() throws {
    #expect(try parse("venc/0", "bitrate", Array("4000\n".utf8)).get() == .integer(4000))
    #expect(try parse("venc/0", "source", Array("\n".utf8)).get() == .none)
    #expect(try parse("venc/0", "idr", Array("1\n".utf8)).get() == .none)
    #expect(try parse("venc/0", "idr", Array("\n".utf8)).get() == .none)
    #expect(try parse("vpss/0", "crop", Array("\n".utf8)).get() == .none)
  }

  @Test func pathsOfInputsMayHoldAnyText() throws {
    let text = "/media/Ünïcode name \\ with = and # .mp4"
    let value = try parse("vi/0", "input", Array(text.utf8)).get()
    #expect(value == .text("file:" + text))
  }

  @Test func whatIsOnlyReadCannotBeWrittenAndWhatIsUnknownIsNamed() {
    for key in ["state", "active", "stats", "effect", "stream", "snapshot.jpg"] {
      guard case .failure(let refusal) = parse("venc/0", key, [0x31]) else {
        Issue.record("\(key) taken")
        continue
      }
      #expect(refusal.errno == .permissionDenied)
    }
    guard case .failure(let refusal) = parse("vi/0", "bitrate", [0x31]) else {
      Issue.record("taken")
      return
    }
    #expect(refusal.errno == .noSuchFileOrDirectory)
    #expect(refusal.hint.contains("fps"))
    guard case .failure(let unbuilt) = parse("rgn/0", "color", [0x31]) else {
      Issue.record("taken")
      return
    }
    #expect(unbuilt.errno == .noSuchFileOrDirectory)
  }

  @Test func attributesStandInTheOrderInWhichAConfigurationIsRead() {
    for type in table.types {
      let keys = table.settings(type).map(\.key)
      #expect(keys.last == "enable")
      if keys.contains("source") { #expect(keys[keys.count - 2] == "source") }
      #expect(Set(keys).count == keys.count)
    }
  }
}

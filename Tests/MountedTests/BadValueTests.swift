// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Values no attribute may take, fed to every attribute there is: each write fails with the errno of the contract, leaves
/// one line in `error_log` that says why and what would be right, and changes nothing.
@Suite(.ownThread(limit: .seconds(600))) struct BadValueTests {
  struct Case: Codable {
    var path: String
    var bytes: [UInt8]
    /// Names of the errnos that are right; any is.
    var errnos: [String]
    var hasHint = true

    init(_ path: String, _ value: String, _ errnos: String...) {
      self.init(path, Array(value.utf8), errnos)
    }
    init(_ path: String, _ bytes: [UInt8], _ errnos: [String]) {
      (self.path, self.bytes, self.errnos) = (path, bytes, errnos)
    }
  }

  struct Answer: Codable {
    /// Name of the errno; empty when the write was taken.
    var errno: String
    var log: [String]
    var changed: Bool
  }

  /// Writes each value with one `write` and looks at `error_log` and `config` after it.
  private static let script = """
    import errno, json, os, sys
    root = sys.argv[1]
    def read(name):
        with open(root + '/' + name, 'rb') as f: return f.read()
    answers = []
    before = read('config')
    for case in json.load(sys.stdin):
        with open(root + '/error_log', 'w') as f: f.write('clear\\n')
        name = ''
        try:
            fd = os.open(root + '/' + case['path'], os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(fd, bytes(case['bytes']))
            finally:
                os.close(fd)
        except OSError as e:
            name = errno.errorcode[e.errno]
        log = read('error_log').decode('utf-8', 'surrogateescape').splitlines()
        after = read('config')
        answers.append({'errno': name, 'log': [l.encode('ascii', 'replace').decode() for l in log],
                        'changed': after != before})
        before = after
    print(json.dumps(answers))
    """

  private func expectRefused(_ cases: [Case], by served: Served) throws {
    var answers: [Answer] = []
    // In pieces, each of which is soon done even on a busy machine.
    while answers.count < cases.count {
      let piece = Array(cases[answers.count...].prefix(50))
      let input = String(decoding: try JSONEncoder().encode(piece), as: UTF8.self)
      let outcome = try python(Self.script, served.at, input: input)
      try #require(outcome.status == 0, "\(outcome.errors)")
      let some = try JSONDecoder().decode([Answer].self, from: outcome.output)
      try #require(some.count == piece.count)
      answers += some
    }
    for (bad, answer) in zip(cases, answers) {
      let value = String(decoding: bad.bytes.prefix(40), as: UTF8.self).debugDescription
      let what = "\(bad.path) <- \(value) (\(bad.bytes.count) bytes)"
      // Two names of one number.
      let name = answer.errno == "EOPNOTSUPP" ? "ENOTSUP" : answer.errno
      #expect(bad.errnos.contains(name), "\(what): \(name), not \(bad.errnos); \(answer.log)")
      #expect(!answer.changed, "\(what) changed the configuration")
      #expect(answer.log.count == 1, "\(what): \(answer.log)")
      guard let line = answer.log.first else { continue }
      // A node with two names is called by its first.
      #expect(line.contains(bad.path.replacingOccurrences(of: "vcodec/enc/", with: "")), "\(what): \(line)")
      #expect(line.contains(" \(name)("), "\(what): \(line)")
      #expect(line.contains("): "), "no reason: \(line)")
      // What is too long says how long it may be.
      if bad.hasHint, name != "E2BIG", !line.contains("already"), !line.contains("only read") {
        #expect(line.contains("; "), "no hint: \(line)")
      }
    }
  }

  // MARK: every attribute

  /// What is no value of any setting.
  private static func always(_ path: String) -> [Case] {
    [
      Case(path, [0, 1, 2, 3, 255], ["EINVAL"]),
      Case(path, [0xff, 0xfe, 0x0a], ["EINVAL"]),
      Case(path, Array(repeating: 0x61, count: 65536), ["E2BIG"]),
      Case(path, Array((0..<65536).map { UInt8(truncatingIfNeeded: $0 &* 7) }), ["E2BIG"]),
      Case(path, Array(repeating: 0x31, count: 5000), ["E2BIG"]),
      Case(path, "1\n0\n", "EINVAL"),
      Case(path, "\n\n", "EINVAL"),
      Case(path, "1\r1\n", "EINVAL"),
      Case(path, "\u{1b}[31m1", "EINVAL"),
      Case(path, "nonsense\n", "EINVAL"),
      Case(path, "$(reboot)\n", "EINVAL"),
    ]
  }

  private static func cases(_ row: HelpPage.Row, _ path: String) -> [Case] {
    var cases = always(path)
    func add(_ values: [String], _ errnos: String...) {
      cases += values.map { Case(path, Array(($0 + "\n").utf8), errnos) }
    }
    switch row.type {
    case "integer":
      guard let bounds = row.range.firstMatch(of: /(-?\d+)\.\.(\d+)/), let low = Int(bounds.1), let high = Int(bounds.2)
      else {
        Issue.record("no range of a number: \(row.range)")
        break
      }
      add(["", "abc", "1kbps", "0x10", "+5", "1.5", "1e3", " 5", "5 5", "007", "1,000", "٣", "--5"], "EINVAL")
      add(["\(high + 1)", "99999999999999999999999999", "-99999999999999999999999999"], "ERANGE")
      add((low > 0 ? ["0"] : []) + ["\(min(low, 0) - 2)"], "ERANGE")
      if row.range.contains("even") { add(["33"], "EINVAL") }
      if row.range.contains("multiple of 90") { add(["45"], "EINVAL") }
    case "boolean":
      add(["", "2", "-1", "true", "yes", "on", "01", " 1"], "EINVAL")
    case "rate":
      add(["", "abc", "30fps", "30/0", "1/", "/2", ".", "30 /1", "0x1e"], "EINVAL")
      add(["0", "241", "1/2", "99999999999999999999", "500000/1001"], "ERANGE")
    case "choice":
      add(["", "h.264", "AUTO", " auto"], "EINVAL")
    case "device", "connector", "mode":
      add(["", " auto", "Auto", "/dev/video0", "/dev/dri/card", "HDMI-A-01", "1280x", "640x480@", "-1"], "EINVAL")
    case "format":
      add(["", "x", "RGGB8", "RG B", " auto"], "EINVAL")
    case "input":
      add(["", "file:", "file:relative/path", "pattern2", "http://example.org/"], "EINVAL")
    case "rectangle":
      add(["1,2,3", "a,b,c,d", "0,0,64,64,64", "0;0;64;64", "1,0,64,64", "0, 0, 64, 64"], "EINVAL")
      add(["0,0,8,8", "0,0,99998,64", "0,0,64,-64"], "ERANGE")
    case "part":
      add(["1,2,3", "a,b,c,d", "0,0,64,64,64", "0;0;64;64", "1,0,64,64", "0, 0, 64, 64"], "EINVAL")
      add(["0,0,64,64 permil", "0,0,64 permille", "0,0,64,64,1 permille", "permille", "0,0,9.5,9 permille"], "EINVAL")
      add(["0,0,8,8", "0,0,99998,64", "0,0,64,-64"], "ERANGE")
      add(["0,0,1001,9 permille", "1000,0,1,1 permille", "0,0,0,9 permille", "0,-1,9,9 permille"], "ERANGE")
    case "region":
      add(["", "on", "0,0,64,64", "0,0,64,64 abs", "0,0,64,64 22", "1,0,64,64 abs 22", "0,0,64,64 abs 22 1"], "EINVAL")
      add(["0,0,64,64 abs 52", "0,0,64,64 rel -52", "0,0,8,8 abs 22", "0,0,99998,64 rel 1"], "ERANGE")
    case "object":
      let own = path.split(separator: "/").prefix(2).joined(separator: "/")
      add(["venc/0", "vpss/0"].filter { $0 != own } + ["vi", "vi/", "vi/00", "/vi/0", " vi/0"], "EINVAL")
      add([own], "ELOOP")
      add(["vi/64", "vpss/0/4"], "ERANGE")
      add(["vi/63", "vpss/9/1"], "ENOENT")
    case "pool":
      add(["vb", "vi/0", "vb/", "vb/00", " vb/0"], "EINVAL")
      add(["vb/64"], "ERANGE")
    case "text":
      // A line is one whatever it says.
      cases.removeAll { ["nonsense\n", "$(reboot)\n"].contains(String(decoding: $0.bytes, as: UTF8.self)) }
    case "colour": add(["", "red", "#12345", "123456", " #123456"], "EINVAL")
    case "points": add(["0,0", "0,0  1,1", "0,0 1,1 2,2"], "EINVAL")
    case "path": add(["logo.png", "file:/logo.png"], "EINVAL")
    case "trigger":
      add(["0", "2", "now"], "EINVAL")
      cases.removeAll { $0.bytes == Array("\n\n".utf8) }
      cases.append(Case(path, "\n\n", "EINVAL"))
    default: break
    }
    return cases
  }

  @Test func everyAttributeRefusesWhatIsNoValue() throws {
    let served = try Served(
      configuration: Pipelines.small(
        "venc/1/codec = mjpeg\nvi/1/input = pattern\nvdec/0/enable = 0\nvo/0/enable = 0\nvda/0/enable = 0\nrgn/0/attach/venc-0/x = 0\nvb/0/enable = 0"
      ))
    let rows = HelpPage(try served.cat("help")).rows.filter {
      // Which controls and connectors there are is the device's affair.
      !$0.isPage && ($0.kind == "setting" || $0.kind == "command") && $0.object != "vi/N/controls"
        && $0.key != "connector"
    }
    #expect(rows.count > 30)
    // One object that runs and one that does not, of each kind there is twice.
    let places = [
      "vi/N": ["vi/0", "vi/1"], "vpss/N": ["vpss/0"], "vpss/N/M": ["vpss/0/0"], "venc/N": ["venc/0", "venc/1"],
      "vdec/N": ["vdec/0"], "vo/N": ["vo/0"], "vda/N": ["vda/0"], "rgn/N": ["rgn/0"],
      "rgn/N/attach/M": ["rgn/0/attach/venc-0"], "vb/N": ["vb/0"],
    ]
    var cases: [Case] = []
    for row in rows {
      for object in try #require(places[row.object], "an attribute of an unknown kind: \(row.path)") {
        cases += Self.cases(row, "\(object)/\(row.key)")
      }
    }
    #expect(cases.count > 800)
    try expectRefused(cases, by: served)
    #expect(try served.advances("venc/0", "frames_out", by: 10))
  }

  @Test func whatIsNotHereOrDoesNotFitIsRefused() throws {
    let served = try Served(
      configuration: Pipelines.small(
        """
        venc/1/codec = mjpeg
        venc/2/codec = h264
        venc/3/fps_src = 20
        venc/4/super_p_frame = 50000
        venc/5/super_i_frame = 90000
        venc/5/super_frame_mode = discard
        venc/6/codec = mjpeg
        venc/6/rc_mode = cbr
        venc/6/qfmax = 60
        vpss/1/source = vpss/0/1
        vpss/1/0/width = 320
        """))
    try expectRefused(
      [
        Case("venc/2/codec", "vp8\n", "ENOTSUP"), Case("venc/2/codec", "fwht\n", "ENOTSUP"),
        Case("venc/2/backend", "x265\n", "ENOTSUP"), Case("venc/2/backend", "turbojpeg\n", "ENOTSUP"),
        Case("venc/2/backend", "/dev/video99\n", "ENODEV"), Case("venc/2/backend", "/dev/null\n", "ENODEV"),
        Case("venc/1/rc_mode", "avbr\n", "ENOTSUP"), Case("venc/6/rc_mode", "avbr\n", "ENOTSUP"),
        Case("venc/6/qfmin", "61\n", "ERANGE"), Case("venc/6/qfmax", "29\n", "ERANGE"),
        Case("venc/1/qfmax", "100\n", "ERANGE"), Case("venc/6/max_bitrate", "1\n", "ERANGE"),
        Case("venc/2/max_bitrate", "1\n", "ERANGE"), Case("venc/2/lost_mode", "pskip\n", "ENOTSUP"),
        Case("venc/2/max_reencode_times", "4\n", "ERANGE"),
        // Of what size, and of which kind: nothing would be done.
        Case("venc/2/super_frame_mode", "reencode\n", "EINVAL"), Case("venc/2/super_frame_mode", "discard\n", "EINVAL"),
        Case("venc/4/super_frame_mode", "reencode\n", "EINVAL"), Case("venc/5/super_i_frame", "auto\n", "EINVAL"),
        Case("venc/1/slice_mode", "rows\n", "ENOTSUP"), Case("venc/2/chroma_qp_offset", "-4\n", "ENOTSUP"),
        Case("venc/2/qp_p", "52\n", "ERANGE"), Case("venc/1/bitrate", "1\n", "ERANGE"),
        Case("venc/3/fps_dst", "21\n", "ERANGE"),
        Case("vpss/0/0/format", "p010\n", "ENOTSUP"),
        // Loops: directly, and by way of another group.
        Case("vpss/0/source", "vpss/0\n", "ELOOP"), Case("vpss/0/source", "vpss/0/0\n", "ELOOP"),
        Case("vpss/0/source", "vpss/1/0\n", "ELOOP"),
      ], by: served)
  }

  @Test func nodesOfTheWholeRefuseWhatTheyDoNotTake() throws {
    let served = try Served(configuration: Pipelines.small())
    var cases = [
      Case("vlog", "venc=9\n", "ERANGE"), Case("vlog", "venc=\n", "EINVAL"), Case("vlog", "nobody=3\n", "ENOENT"),
      Case("vlog", "=3\n", "ENOENT"), Case("vlog", "venc 3\n", "EINVAL"),
      Case("vlog", "venc=3\nvi=3\n", "EINVAL"),
      Case("vlog", [0xff, 0xfe], ["EINVAL"]), Case("vlog", Array(repeating: 0x61, count: 65536), ["E2BIG"]),
      Case("memory_limit", "1\n", "ERANGE"), Case("memory_limit", "\n", "EINVAL"),
      Case("memory_limit", "64M\n", "EINVAL"),
      Case("memory_limit", "Auto\n", "EINVAL"), Case("memory_limit", [0xff], ["EINVAL"]),
      Case("config", "memory_limit = 1\n", "ERANGE"), Case("config", "memory_limit = much\n", "EINVAL"),
      Case("rk_dmabuf/peak", "1\n", "EINVAL"), Case("rk_dmabuf/peak", "\n", "EINVAL"),
      Case("rk_dmabuf/peak", "reset\n", "EINVAL"), Case("rk_dmabuf/peak", [0xff], ["EINVAL"]),
      Case("rk_dmabuf/growth", "\n", "EINVAL"), Case("rk_dmabuf/growth", "mark a b\n", "EINVAL"),
      Case("rk_dmabuf/growth", "mark a/b\n", "EINVAL"), Case("rk_dmabuf/growth", [0xff, 0xfe], ["EINVAL"]),
      Case("rk_dmabuf/growth", "clear nothing\n", "ENOENT"),
      Case("rk_dmabuf/growth", Array(repeating: 0x61, count: 65), ["E2BIG"]),
      Case("config", "nonsense\n", "EINVAL"), Case("config", "venc/0/gop = 5", "EINVAL"),
      Case("config", [0, 0xff, 0x0a], ["EINVAL"]), Case("config", "venc/0/other = 1\n", "ENOENT"),
      Case("config", "venc/0/gop = 5\nvenc/0/gop = 6\n", "EINVAL"), Case("config", "venc/0/idr = 1\n", "EINVAL"),
      Case("config", "venc/0/state = running\n", "EACCES"), Case("config", "replace me\n", "EINVAL"),
      Case("config", "replace\n", "EINVAL"),
      Case("config", Array(repeating: 0x23, count: 245_761), ["E2BIG"]),
    ]
    for node in [
      "mpp_service/load_interval", "mpp_service/timing_en", "mpp_service/cpu/timing_check",
      "mpp_service/cpu/disable_work", "mpp_service/cpu/session_buffers",
    ] {
      cases += ["one", "-1", "", " 1", "0x", "08", "1 2", "4294967296x", "1\n\n"].map {
        Case(node, $0 + "\n", "EINVAL")
      }
      cases += ["4294967296", "0x100000000", "99999999999999999999999x"].map { Case(node, $0 + "\n", "ERANGE") }
      cases += [Case(node, [0xff, 0xfe], ["EINVAL"]), Case(node, [0, 0x31], ["EINVAL"])]
      cases.append(Case(node, Array(repeating: 0x31, count: 65536), ["E2BIG"]))
    }
    cases.append(Case("mpp_service/cpu/disable_work", "1\n", "EBUSY"))
    for node in [
      "mpp_service/load", "mpp_service/sessions-summary", "mpp_service/cpu/task_count", "vsys", "valloc", "vrgn",
      "venc_info", "vcodec/enc/venc_info", "rk_dmabuf/size", "rk_dmabuf/dev", "rk_dmabuf/source",
      "rk_dmabuf/by_process", "rk_dmabuf/sgt", "rk_dma_heap/dma_heap_info",
      "rk_dmabuf/history", "health", "metrics",
      "report", "help", "venc/0/state", "venc/0/stats", "venc/0/effect", "vi/0/active", "venc/0/stream",
      "vi/0/snapshot.jpg",
    ] {
      var refused = Case(node, "1\n", "EACCES")
      refused.hasHint = false
      cases.append(refused)
    }
    try expectRefused(cases, by: served)
  }

  @Test func errorsReadWellInAShell() throws {
    // With an error log that no other test writes to.
    let served = try Served(configuration: Pipelines.small("venc/1/codec = h264"))
    #expect(try served.refusal(of: "9999999", to: "venc/0/bitrate").contains("Numerical result out of range"))
    #expect(try served.refusal(of: "4Mbps", to: "venc/0/bitrate").contains("Invalid argument"))
    #expect(try served.refusal(of: "1", to: "vsys").contains("Permission denied"))
    #expect(try served.refusal(of: "vp8", to: "venc/1/codec").contains("Operation not supported"))
    #expect(try served.refusal(of: "vi/63", to: "venc/0/source").contains("No such file or directory"))
    let line = try #require(try served.errorLog().last { $0.contains("4Mbps") })
    // Both clocks, path, value, errno, reason, and what would be right.
    #expect(
      line.wholeMatch(
        of:
          #/\[\d+\.\d{6} \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\] venc/0/bitrate "4Mbps\\n" EINVAL\(22\): .*unit.*kbps.*; .*2\.\.200000.*/#
      ) != nil, "\(line)")
  }

  @Test func unknownPathsAreRefusedWithAReason() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try run("cat", served.path("venc/0/bitrat")).errors.contains("No such file"))
    try served.echo("clear", to: "error_log")
    for node in ["venc/0/bitrat", "nothing", "venc/77/bitrate"] {
      let said = try served.refusal(of: "1", to: node)
      #expect(said.contains("No such file or directory"), "\(node): \(said)")
    }
    let log = try served.errorLog()
    // A directory that is not there is not asked.
    #expect(log.count == 2, "\(log)")
    #expect(
      log[0].contains(" venc/0/bitrat ENOENT(2): there is no such file; there are, the nearest first: bitrate "),
      "\(log)")
    #expect(log[1].contains(" nothing ENOENT(2): "), "\(log)")
  }

  @Test func hostileBytesForgeNoLine() throws {
    let served = try Served(configuration: Pipelines.small())
    try served.echo("clear", to: "error_log")
    let evil = #"x\n[99.0 2026-01-01T00:00:00.000000Z] venc/0/gop "5" EINVAL(22): forged\e[2J"#
    _ = try shell("printf %b \"$1\" | dd of=\"$2\" bs=4k status=none", evil, served.path("venc/0/gop"))
    let log = try served.cat("error_log")
    #expect(log.split(separator: "\n").count == 1)
    #expect(!log.utf8.contains(0x1b))
    #expect(log.contains(#"\x1b[2J"#))
  }

  // MARK: inputs

  @Test func aPathInOurOwnTreeIsALoop() throws {
    let served = try Served(configuration: Pipelines.small("vi/1/input = pattern"))
    try expectRefused(
      [
        Case("vi/1/input", "file:\(served.at)/vsys\n", "ELOOP"),
        Case("vi/1/input", "\(served.at)/venc/0/stream\n", "ELOOP"),
        Case("vi/1/input", "file:\(served.at)/../mpi/./vsys\n", "ELOOP"),
        Case("vi/1/input", "file:\(served.at)\n", "ELOOP"),
      ], by: served)
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"))
  func aLinkIntoOurOwnTreeIsALoop() throws {
    let served = try Served(configuration: Pipelines.small("vi/1/input = pattern"))
    let link = served.scratch + "/link.h264"
    #expect(try run("ln", "-s", served.path("venc/0/stream"), link).status == 0)
    try served.echo("file:" + link, to: "vi/1/input")
    #expect(
      try served.refusal(of: "1", to: "vi/1/enable", finally: true).contains("Too many levels of symbolic links"))
    #expect(try served.value("vi/1/enable") == "0")
    #expect(try served.errorLog().last?.contains("ELOOP") == true)
    // The same by way of a bind mount.
    let other = served.scratch + "/other"
    #expect(try run("mkdir", other).status == 0)
    try #require(try run("mount", "--bind", served.at, other).status == 0, "cannot make a bind mount here")
    defer { _ = try? run("umount", "-l", other) }
    try served.echo("file:\(other)/venc/0/stream", to: "vi/1/input")
    #expect(
      try served.refusal(of: "1", to: "vi/1/enable", finally: true).contains("Too many levels of symbolic links"))
    #expect(try served.cat("vsys").hasPrefix("module"))
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"))
  func inputsThatAreNoMediaFilesAreRefusedWhenEnabled() throws {
    let served = try Served(configuration: Pipelines.small("vi/1/input = pattern"), ahead: true)
    let text = served.scratch + "/text.mp4"
    try "This is no video.\n".write(toFile: text, atomically: true, encoding: .utf8)
    let sound = served.scratch + "/sound.wav"
    #expect(
      try run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", sound).status == 0)
    #expect(try run("mkfifo", served.scratch + "/fifo").status == 0)
    #expect(FileManager.default.createFile(atPath: served.scratch + "/empty.avi", contents: nil))
    for (file, message) in [
      ("/nowhere/missing.avi", "No such file or directory"), (text, "Invalid argument"), (sound, "Invalid argument"),
      (served.scratch + "/empty.avi", "Invalid argument"), (served.scratch, "Is a directory"),
      ("/dev/null", "Invalid argument"), (served.scratch + "/fifo", "Invalid argument"),
    ] {
      try served.echo("file:" + file, to: "vi/1/input")
      let before = try served.cat("config")
      try served.echo("clear", to: "error_log")
      let said = try served.refusal(of: "1", to: "vi/1/enable", finally: true)
      #expect(said.contains(message), "\(file): \(said)")
      #expect(try served.cat("config") == before, "\(file)")
      #expect(try served.value("vi/1/enable") == "0")
      let log = try served.errorLog()
      // What was not refused in time stands there as late, too.
      let inTime = log.filter { !$0.contains(" ETIMEDOUT(") && !$0.contains(" EBUSY(") }
      let isLate = inTime.count < log.count
      #expect(isLate ? !inTime.isEmpty : inTime.count == 1, "\(file): \(log)")
      #expect(inTime.allSatisfy { $0.contains(file) }, "\(file): \(log)")
    }
    // A device that is none.
    try served.echo("/dev/video99", to: "vi/1/input")
    #expect(try served.refusal(of: "1", to: "vi/1/enable", finally: true).contains("No such file or directory"))
    // The rest has not noticed.
    #expect(try served.advances("venc/0", "frames_out", by: 10))
  }

  @Test(.enabled(if: !Machine.hasFFmpeg, "this build reads media files"))
  func aBuildWithoutMediaFilesSaysSo() throws {
    let served = try Served(configuration: Pipelines.small("vi/1/input = file:/tmp/a.mp4"))
    #expect(try served.refusal(of: "1", to: "vi/1/enable").contains("Operation not supported"))
    #expect(try served.value("vi/1/enable") == "0")
    #expect(try served.errorLog().last?.contains("FFmpeg") == true)
  }
}

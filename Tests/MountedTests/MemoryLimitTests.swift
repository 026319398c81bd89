// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A limit on the memory, pools that are objects, and what becomes of a program that runs out.
@Suite(.ownThread) struct MemoryLimitTests {
  private func held(_ served: Served) throws -> Double {
    try #require(Metrics(try served.cat("metrics"))["mpifs_memory_buffers_bytes"])
  }

  /// The program's own configuration at that size: its input, and both outputs of the scaler.
  private func defaultConfiguration(_ width: Int, _ height: Int) throws -> String {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../mount/mpifs.conf")
    return try String(contentsOf: file, encoding: .utf8)
      .replacingOccurrences(of: "vi/0/width = auto", with: "vi/0/width = \(width)")
      .replacingOccurrences(of: "vi/0/height = auto", with: "vi/0/height = \(height)")
      .replacingOccurrences(of: "vpss/0/0/width = 1280", with: "vpss/0/0/width = \(width)")
      .replacingOccurrences(of: "vpss/0/0/height = 720", with: "vpss/0/0/height = \(height)")
      .replacingOccurrences(of: "vpss/0/1/width = 640", with: "vpss/0/1/width = \(width / 2 & ~1)")
      .replacingOccurrences(of: "vpss/0/1/height = 360", with: "vpss/0/1/height = \(height / 2 & ~1)")
  }

  /// Of 64 MB kernel and program leave some 28, and half of that may be taken.
  @Test func theDefaultConfigurationAt640x360FitsABoardOf64MB() throws {
    let served = try Served(["--memory-limit", "14680064"], configuration: try defaultConfiguration(640, 360))
    for channel in 0..<3 { #expect(try served.advances("venc/\(channel)", "frames_out", by: 2)) }
    #expect(try held(served) < 14_680_064)
    let active = try ["vi/0", "vpss/0/0", "vpss/0/1", "venc/0", "venc/1", "venc/2"].map {
      Double(try served.facts("\($0)/active")["memory_bytes"] ?? "0") ?? 0
    }
    // All there is belongs to an object, which says so.
    #expect(try active.reduce(0, +) == held(served))
  }

  @Test func whatWouldPassItIsRefusedWithTheSum() throws {
    let served = try Served(["--load", "none", "--memory-limit", "4000000"])
    #expect(try run("mkdir", served.path("vi/0"), served.path("vb/0")).status == 0)
    let said = try served.refusal(of: "1", to: "vi/0/enable")
    #expect(said.contains("Cannot allocate memory"), "\(said)")
    #expect(try served.errorLog().last?.contains("asks 18.7 MB on top of 0 bytes held; memory_limit is 4 MB") ?? false)
    #expect(try served.value("vi/0/enable") == "0" && served.value("vi/0/state") == "stopped" && held(served) == 0)
    #expect(try served.refusal(of: "1", to: "vb/0/enable").contains("Cannot allocate memory"))
    try served.echo("20000000", to: "memory_limit")
    #expect(try served.value("memory_limit") == "20000000")
    try served.echo("1", to: "vi/0/enable")
    #expect(try served.advances("vi/0", "frames_out", by: 2))
    #expect(try served.cat("config").hasPrefix("create\nmemory_limit = 20000000\n"))
    #expect(try served.refusal(of: "1", to: "vb/0/enable").contains("Cannot allocate memory"))
    let metrics = Metrics(try served.cat("metrics"))
    #expect(metrics["mpifs_memory_limit_bytes"] == 20_000_000)
    // A shell may write a second time what was refused.
    #expect(metrics["mpifs_memory_limit_refused_total"] ?? 0 >= 3)
    // What is held stays.
    try served.echo("1048576", to: "memory_limit")
    #expect(try served.advances("vi/0", "frames_out", by: 5))
    try served.echo("auto", to: "memory_limit")
    #expect(try served.cat("config").hasPrefix("create\nvi/0/"))
  }

  /// The start is waited for: what does not fit comes when there is room.
  @Test func whatDoesNotFitAtTheStartComesWhenThereIsRoom() throws {
    let served = try Served(
      ["--memory-limit", "2000000"], configuration: "vi/0/width = 640\nvi/0/height = 360\nvi/0/enable = 1\n")
    #expect(try eventually { try served.value("vi/0/state").contains("asks 2.1 MB on top of 0 bytes held") })
    #expect(try served.value("vi/0/enable") == "1")
    try served.echo("3000000", to: "memory_limit")
    #expect(try eventually { try served.value("vi/0/state") == "running" })
    #expect(try served.advances("vi/0", "frames_out", by: 2))
  }

  @Test func aPoolServesSeveralObjectsAndIsNotTakenFromUnderThem() throws {
    let served = try Served(
      configuration: """
        vb/0/size = 345600
        vb/0/count = 8
        vb/0/wrap = 1
        vb/0/enable = 1
        vi/0/width = 640
        vi/0/height = 360
        vi/0/pool = vb/0
        vi/0/enable = 1
        vpss/0/source = vi/0
        vpss/0/enable = 1
        vpss/0/0/width = 320
        vpss/0/0/height = 180
        vpss/0/0/pool = vb/0
        vpss/0/0/enable = 1

        """)
    #expect(try served.advances("vpss/0/0", "frames_out", by: 10))
    let lines = try served.cat("valloc").split(separator: "\n").map(String.init)
    let rows = lines.filter { $0.hasPrefix("0x") || $0.contains(" 0x1000000") }
    #expect(rows.count == 8)
    let sizes = rows.map { $0.split(separator: " ")[4] }
    #expect(sizes == ["2785280"] + Array(repeating: "0", count: 7))
    #expect(lines.contains("total:" + "2785280".padding(toLength: 16, withPad: " ", startingAt: 0)))
    #expect(lines.contains { $0.contains(#/^0 +8 +\d +-?\d +345600 +mpifs +vi_\d+vpss_\d+$/#) }, "\(lines)")
    #expect(try Int(served.value("vb/0/free")) ?? -1 >= 0)
    #expect(try served.refusal(of: "0", to: "vb/0/enable").contains("busy"))
    #expect(try served.errorLog().last?.contains("vb/0 gives its buffers to vi/0") ?? false)
    #expect(try run("rmdir", served.path("vb/0")).status != 0)
    try served.echo("0", to: "vi/0/enable")
    try served.echo("0", to: "vpss/0/0/enable")
    try served.echo("0", to: "vb/0/enable")
    #expect(try eventually { try held(served) == 0 })
    #expect(try served.value("vb/0/free") == "0" && served.value("vb/0/min_free") == "N/A")
    #expect(try run("rmdir", served.path("vb/0")).status != 0)
    #expect(try served.errorLog().last?.contains("gives its buffers to vi/0; let that have its own first") ?? false)
    for object in ["vi/0", "vpss/0/0"] { try served.echo("", to: "\(object)/pool") }
    #expect(try run("rmdir", served.path("vb/0")).status == 0)
  }

  @Test func aSmallBoardsMemoryBoundsWhatIsAskedWhateverTheLimitSays() throws {
    let root = FileManager.default.temporaryDirectory.appending(path: "board-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    try FileManager.default.createDirectory(at: root.appending(path: "proc"), withIntermediateDirectories: true)
    try Data("MemTotal:          62148 kB\nMemAvailable:      28672 kB\n".utf8)
      .write(to: root.appending(path: "proc/meminfo"))
    let served = try Served(["--kernel-root", root.path()], configuration: try defaultConfiguration(640, 360))
    for channel in 0..<3 { #expect(try served.advances("venc/\(channel)", "frames_out", by: 2)) }
    func limit() throws -> Double? { Metrics(try served.cat("metrics"))["mpifs_memory_limit_bytes"] }
    #expect(try limit() == Double(14336 << 10))
    try served.echo("1000000000", to: "memory_limit")
    #expect(try limit() == Double(62148 << 10))
    #expect(try run("mkdir", served.path("vb/1")).status == 0)
    try served.echo("70", to: "vb/1/count")
    let said = try served.refusal(of: "1", to: "vb/1/enable")
    #expect(said.contains("Cannot allocate memory"), "\(said)")
    #expect(try served.errorLog().last?.contains("; there are 63.6 MB here, whatever memory_limit says") ?? false)
    #expect(try served.value("vb/1/state") == "stopped")
  }

  @Test func aDecodersPicturesLieInASharedPool() throws {
    let served = try Served(
      configuration: Pipelines.small(
        """
        vb/0/size = 345600
        vb/0/count = 12
        vb/0/enable = 1
        vdec/0/pace = none
        vdec/0/pool = vb/0
        vdec/0/enable = 1

        """))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    recording.stop()
    let pictures = try Video.patternNumbers(recording.file, width: 640, height: 360).count
    for round in 1...2 {
      let outcome = try shell(#"cat "$1" > "$2""#, recording.file, served.path("vdec/0/feed"))
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(try eventually { try served.stats("vdec/0")["frames_out"] == round * pictures })
    }
    let stats = try served.stats("vdec/0")
    #expect(stats["dropped"] == 0 && stats["in_flight"] == 0, "\(stats)")
    let pools = try served.cat("valloc")
    #expect(pools.contains(#/ 345600 +mpifs +vdec_\d+/#), "\(pools)")
    #expect(try served.cat("vb/0/active").contains(#/user: +vdec\/0\n/#))
    #expect(try served.facts("vdec/0/active")["memory_bytes"] == nil, "it holds none of its own")
    #expect(try served.refusal(of: "0", to: "vb/0/enable").contains("busy"))
    try served.echo("0", to: "vdec/0/enable")
    try served.echo("0", to: "vb/0/enable")
    #expect(try served.value("vb/0/state") == "stopped")
  }

  @Test func theBooksAreInOrderAndTheCheckSaysSo() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 2))
    let facts = try served.facts("rk_dmabuf/check")
    #expect(Int(facts["buffers"] ?? "") ?? 0 > 5)
    for key in ["buffers_without_descriptor", "descriptors_without_buffer", "held_elsewhere"] {
      #expect(facts[key] == "0", "\(key)")
      #expect(Metrics(try served.cat("metrics"))["mpifs_memory_check_\(key)"] == 0)
    }
    #expect(try run("stat", "-c", "%a", served.path("rk_dmabuf/check")).text == "444\n")
    #expect(try served.refusal(of: "1", to: "rk_dmabuf/check").contains("ermission denied"))
  }

  /// Descriptors run out in earnest: the kernel refuses, nothing is lost, and all is well when there are some again.
  @Test func itComesThroughWithoutDescriptors() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 2))
    func descriptors() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/\(served.pid)/fd").count
    }
    // What the first look at the system's memory opens for all that follow is counted: it has been when its page is there.
    #expect(try served.cat("rk_dmabuf/source").hasPrefix("source: "))
    let (before, bytes) = (try descriptors(), try held(served))
    let text =
      "vi/1/width = 64\nvi/1/height = 64\nvi/1/enable = 1\nvb/0/count = 16\nvb/0/size = 4096\nvb/0/enable = 1\n"
    func limit(_ count: String) throws {
      #expect(try run("prlimit", "--pid", "\(served.pid)", "--nofile=\(count):").status == 0)
    }
    let hard = try #require(
      try String(contentsOfFile: "/proc/\(served.pid)/limits", encoding: .utf8)
        .firstMatch(of: #/Max open files\s+(\d+)\s+\d+/#)?.1)
    try limit("\(before + 6)")
    let outcome = try served.configure("create\n" + text)
    #expect(outcome.status != 0 && outcome.errors.contains("Too many open files"), "\(outcome.errors)")
    #expect(try !served.exists("vb/0"))
    #expect(try eventually { try held(served) == bytes })
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    #expect(try eventually { try descriptors() <= before })
    try limit(String(hard))
    #expect(try served.configure("create\n" + text).status == 0)
    #expect(try served.advances("vi/1", "frames_out", by: 2))
    #expect(try served.value("vb/0/free") == "16")
    for key in ["buffers_without_descriptor", "descriptors_without_buffer"] {
      #expect(try served.facts("rk_dmabuf/check")[key] == "0")
    }
  }
}

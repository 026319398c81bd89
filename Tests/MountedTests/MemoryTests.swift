// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What the program takes of the machine's memory, as the kernel counts it, and gives back.
@Suite(.ownThread) struct MemoryTests {
  /// Anonymous memory of the serving process, kilobytes.
  private func anonymous(_ served: Served) throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(served.pid)/status", encoding: .utf8)
    return try #require(status.firstMatch(of: /RssAnon:\s+(\d+) kB/).flatMap { Int($0.1) })
  }

  private static let up = """
    cd "$1"; mkdir vi/0; echo 640 >vi/0/width; echo 360 >vi/0/height; echo 1 >vi/0/enable
    for c in 0 1 2 3; do
      mkdir venc/$c; echo vi/0 >venc/$c/source; [ $c = 3 ] && echo mjpeg >venc/$c/codec; echo 1 >venc/$c/enable || exit 1
    done

    """
  private static let down = """
    cd "$1"; for c in 0 1 2 3; do echo 0 >venc/$c/enable; rmdir venc/$c || exit 1; done; echo 0 >vi/0/enable; rmdir vi/0

    """

  private func perform(_ script: String, _ served: Served) throws {
    let outcome = try shell(script, served.at)
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  private func waitForPictures(_ served: Served) throws {
    for channel in 0..<4 { #expect(try served.advances("venc/\(channel)", "frames_out", by: 40)) }
  }

  @Test func whatChannelsTookComesBackHoweverOftenTheyAreMade() throws {
    let served = try Served(["--load", "none"])
    try perform(Self.up, served)
    try waitForPictures(served)
    let running = try anonymous(served)
    try perform(Self.down, served)
    for _ in 0..<20 {
      try perform(Self.up, served)
      #expect(try served.advances("venc/0", "frames_out", by: 1))
      try perform(Self.down, served)
    }
    // Of an engine nothing is left: not a tenth of what one round had. Whoever holds the last of it may come to it late.
    #expect(try eventually { try anonymous(served) < running / 2 })
    var metrics = Metrics("")
    #expect(
      try eventually {
        metrics = Metrics(try served.cat("metrics"))
        return metrics["mpifs_process_heap_used_bytes"] ?? .infinity < 4e6
      }, "\(metrics["mpifs_process_heap_used_bytes"] ?? -1) bytes")
    #expect(try #require(metrics["mpifs_process_anonymous_bytes"]) / 1024 < Double(running))
    try perform(Self.up, served)
    try waitForPictures(served)
    let again = try anonymous(served)
    #expect(Double(again) < Double(running) * 1.15 + 2048, "\(running) kB before, \(again) kB after")
    try perform(Self.down, served)
  }

  @Test func whatASnapshotOfALargePictureNeededIsGivenBack() throws {
    let served = try Served(["--load", "none"], ahead: true)
    try perform(
      "cd \"$1\"; mkdir vi/0; echo 7680 >vi/0/width; echo 4320 >vi/0/height; echo 1 >vi/0/fps; echo 1 >vi/0/enable",
      served)
    #expect(try served.advances("vi/0", "frames_out", by: 2))
    let before = try anonymous(served)
    let picture = try served.snapshot(of: "vi/0")
    #expect(Served.size(of: picture) > 1_000_000)
    #expect(try eventually { try anonymous(served) < before + (8 << 10) })
  }
}

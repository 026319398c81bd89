// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests/support/watched, which Tests/run puts around each tier.
@Suite(.ownThread) struct WatchdogTests {
  private static let folder = URL(filePath: #filePath).appending(path: "../../support").standardizedFileURL

  private func watched(_ arguments: String...) throws -> (status: Int32, text: String) {
    let outcome = try Child.run([Self.folder.appending(path: "watched").path] + arguments)
    return (outcome.status, outcome.text + outcome.errors)
  }

  private func journal(_ lines: String) throws -> String {
    let path = FileManager.default.temporaryDirectory.appending(path: "journal-\(UUID().uuidString)").path
    try lines.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  @Test func whatEndsIsPassedOnAsItIs() throws {
    let result = try watched("100", "/nonexistent", "sh", "-c", "echo one; echo two >&2; exit 7")
    #expect(result.status == 7)
    #expect(result.text == "one\ntwo\n")
  }

  @Test func whatStandsStillIsEndedAndTheTestsThatHangAreNamed() throws {
    let journal = try journal("begin 1 Suite/ended\nbegin 2 Suite/hangs (File.swift)\nend 1\n")
    defer { unlink(journal) }
    let result = try watched("4", journal, "sh", "-c", "echo started; sleep 1000; echo never")
    #expect(result.status == 124)
    #expect(result.text.hasPrefix("started\n"))
    #expect(result.text.contains("✘ Watchdog recorded an issue"))
    #expect(result.text.contains("begun and not ended: Suite/hangs (File.swift)\n"))
    #expect(!result.text.contains("Suite/ended"))
    #expect(result.text.contains("sleep 1000"))
    #expect(!result.text.contains("\nnever\n"))
  }
}

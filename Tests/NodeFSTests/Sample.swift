// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Why nothing can be mounted here; nil when it can. Said aloud once, so that no tier is skipped in silence.
let whyNoMount: String? = {
  var why: String?
  if access("/dev/fuse", R_OK | W_OK) != 0 { why = "/dev/fuse cannot be opened: \(String(cString: strerror(errno)))" }
  if Sample.binary == nil { why = "nodefs-sample was not built beside the tests" }
  if let why { print("NodeFS: mounted tests do NOT run here: \(why)") }
  return why
}()

/// A running `nodefs-sample`, and shell commands inside its mount. The tests never touch the mount themselves, though
/// they might: it is served by another process.
final class Sample {
  static let binary: String? = {
    let bundle = Bundle.main.executablePath.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
    let argument = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
    let candidates = [bundle, argument, "\(argument)/.."].compactMap { $0 }
    return candidates.map { "\($0)/nodefs-sample" }.first { access($0, X_OK) == 0 }
  }()

  struct Result {
    var status: Int32
    var out: String
    var err: String
    /// 124 is `timeout`'s: the command hung.
    var isOK: Bool { status == 0 }
  }

  let directory: String
  private(set) var process: Child

  /// Starts a server on a directory of its own and waits until it says that it serves.
  init(_ arguments: [String] = []) throws {
    directory = "/tmp/nodefs-tests-\(getpid())-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    process = try Self.launch([directory] + arguments)
  }

  deinit {
    process.signal(SIGKILL)
    process.ended()
    _ = Self.shell("umount -l '\(directory)' 2>/dev/null; rmdir '\(directory)'", in: "/")
  }

  /// A second life on the same directory.
  func restart() throws {
    process = try Self.launch([directory])
  }

  private static func launch(_ arguments: [String]) throws -> Child {
    // A handler that gets no processor for a second and a half is not one that hangs.
    let process = try Child([try #require(binary), "--patience", "60"] + arguments)
    _ = eventually { process.outputText.contains("serving") || !process.isRunning }
    try #require(process.outputText.contains("serving"), "nodefs-sample did not start: \(process.errors)")
    return process
  }

  /// Runs `script` in bash with the mount as its directory, for at most `limit` seconds.
  func run(_ script: String, limit: Int = Int(patience)) -> Result { Self.shell(script, in: directory, limit: limit) }

  static func shell(_ script: String, in directory: String, limit: Int = Int(patience)) -> Result {
    do {
      let outcome = try Child.run(
        ["timeout", "-k", "2", "\(limit)", "bash", "-c", "cd '\(directory)' || exit 99\n" + script],
        timeout: Double(limit) + 10)
      return Result(status: outcome.status, out: outcome.text, err: outcome.errors)
    } catch {
      return Result(status: -1, out: "", err: "\(error)")
    }
  }

  /// One figure of the sample's `stats` node; nil where it could not be read.
  private func stat(_ name: String) -> Int? {
    Int(run("sed -n 's/^\(name): //p' stats").out.trimmingCharacters(in: .whitespacesAndNewlines))
  }

  /// Waits until a figure has a value.
  func wait(for name: String, toBe wanted: Int) -> Bool {
    eventually { stat(name) == wanted }
  }
}

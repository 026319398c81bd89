// SPDX-License-Identifier: Apache-2.0
import Foundation
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
  private(set) var process: Process

  /// Starts a server on a directory of its own and waits until it says that it serves.
  init(_ arguments: [String] = []) throws {
    directory = "/tmp/nodefs-tests-\(getpid())-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    process = try Self.launch([directory] + arguments)
  }

  deinit {
    process.terminate()
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    _ = Self.shell("umount -l '\(directory)' 2>/dev/null; rmdir '\(directory)'", in: "/")
  }

  /// A second life on the same directory.
  func restart() throws {
    process = try Self.launch([directory])
  }

  private static func launch(_ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(binary))
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    try start(process)
    let first = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    try #require(first.contains("serving"), "nodefs-sample did not start: \(first)")
    return process
  }

  /// Runs `script` in bash with the mount as its directory, for at most `limit` seconds.
  func run(_ script: String, limit: Int = 30) -> Result { Self.shell(script, in: directory, limit: limit) }

  /// Starts a child that gets all signals: test bodies run on threads that block most of them, and children inherit
  /// that.
  static func start(_ process: Process) throws {
    var none = sigset_t()
    var before = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    try process.run()
  }

  static func shell(_ script: String, in directory: String, limit: Int = 30) -> Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = ["-k", "2", "\(limit)", "bash", "-c", "cd '\(directory)' || exit 99\n" + script]
    let (out, err) = (Pipe(), Pipe())
    process.standardOutput = out
    process.standardError = err
    process.standardInput = FileHandle.nullDevice
    do { try start(process) } catch { return Result(status: -1, out: "", err: "\(error)") }
    // Both at once, or a full pipe would hold the child.
    let errors = Mutexed("")
    let reader = Thread {
      let text = String(decoding: err.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      errors.change { $0 = text }
    }
    reader.start()
    let text = String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    while !reader.isFinished { usleep(200) }
    return Result(status: process.terminationStatus, out: text, err: errors.value)
  }

  /// One figure of the sample's `stats` node.
  func stat(_ name: String) -> Int {
    Int(run("sed -n 's/^\(name): //p' stats").out.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
  }

  /// Waits until a figure has a value.
  func wait(for name: String, toBe wanted: Int) -> Bool {
    let end = Date(timeIntervalSinceNow: 20)
    while Date() < end {
      if stat(name) == wanted { return true }
    }
    return stat(name) == wanted
  }
}

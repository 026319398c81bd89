// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A running `mpifs` with its mount. Goes away with the value, with the test process, and when that is killed: a guardian
/// process holds the other end of a pipe and cleans up when it closes.
final class Served: @unchecked Sendable {
  /// Where the tree is.
  let at: String
  let program: Child
  /// A directory for the test's own files, removed with the mount.
  let scratch: String
  private let guardianPipe: Int32
  private let guardian: Child
  private let ending = NSLock()
  private var hasEnded = false

  var pid: pid_t { program.pid }

  struct StartError: Error, CustomStringConvertible {
    var description: String
  }

  static func freshDirectory() throws -> String {
    let url = FileManager.default.temporaryDirectory.appending(path: "mpifs-test-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    return url.path
  }

  /// Starts the program and waits until it says that it serves and has its configuration.
  /// - Parameters:
  ///   - configuration: text of the configuration to load; `nil` for the program's default.
  ///   - at: where to mount; a fresh directory by default.
  ///   - ahead: the program goes before all others that want a processor. For tests that need a pipeline to reach its
  ///     rate: it would on a machine of its own, and here other tests run as well.
  init(
    _ options: [String] = [], configuration: String? = nil, at: String? = nil, environment: [String: String] = [:],
    ahead: Bool = false
  ) throws {
    try Machine.check()
    scratch = try Self.freshDirectory()
    self.at = at ?? scratch + "/mpi"
    var arguments = [Machine.binary, "--at", self.at] + options
    if let configuration {
      let file = scratch + "/configuration"
      try configuration.write(toFile: file, atomically: true, encoding: .utf8)
      arguments += ["--load", file]
    }
    program = try Child((ahead ? ["nice", "-n", "-15"] : []) + arguments, environment: environment)
    (guardianPipe, guardian) = try Self.guardian(of: program.pid, at: self.at, scratch: scratch)
    let line = "mpifs: serving \(self.at)\n"
    let program = program
    let serving = eventually { program.outputText.contains(line) || !program.isRunning }
    // A configuration that takes long is not waited for: it serves without it meanwhile, and says so.
    let isLate = serving && !options.contains("--load") && program.errors.contains("has not been read yet")
    let isLoaded = try isLate ? waitForConfiguration() : true
    guard serving, isLoaded, program.outputText.contains(line) else {
      let said = program.errors
      end()
      throw StartError(
        description: serving ? "mpifs ended before serving what it was to: \(said)" : "mpifs did not serve: \(said)")
    }
  }

  deinit { end() }

  /// - Returns: false when it has none after all, or the program has ended.
  private func waitForConfiguration() throws -> Bool {
    var isThere = false
    _ = try eventually {
      let config = try run("cat", path("config"))
      isThere = config.status == 0 && config.text != "create\n"
      return isThere || !program.isRunning
    }
    return isThere
  }

  private static func guardian(of pid: pid_t, at: String, scratch: String) throws -> (Int32, Child) {
    var ends: [Int32] = [0, 0]
    let made = Child.spawning.withLock {
      pipe(&ends) == 0 && ends.allSatisfy { fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }
    }
    guard made else { throw StartError(description: "no pipe") }
    let script = """
      trap '' INT TERM HUP
      cat >/dev/null
      tr '\\0' '\\n' 2>/dev/null < "/proc/$1/cmdline" | grep -qxF -- "$2" && kill -KILL "$1"
      fusermount3 -u -z -q "$2" 2>/dev/null
      rm -rf --one-file-system "$3"
      """
    let child = try Child(["sh", "-c", script, "sh", String(pid), at, scratch], inputDescriptor: ends[0])
    close(ends[0])
    return (ends[1], child)
  }

  /// Ends the program if it still runs; the guardian unmounts and removes the test's files. May be called again.
  func end() {
    ending.lock()
    defer { ending.unlock() }
    if hasEnded { return }
    hasEnded = true
    program.signal(SIGTERM)
    if program.ended(within: 5) == nil { program.signal(SIGKILL) }
    program.ended(within: 5)
    close(guardianPipe)
    guardian.ended()
  }

  /// What its children said goes too; nothing may be asked of them afterwards.
  func removeLogs() {
    program.removeFiles()
    guardian.removeFiles()
  }

  // MARK: reading and writing by children

  func path(_ node: String) -> String { at + "/" + node }

  struct ReadError: Error, CustomStringConvertible {
    var description: String
  }

  /// `cat` of a text node that must be there.
  func cat(_ node: String) throws -> String {
    let outcome = try run("cat", path(node))
    guard outcome.status == 0 else {
      let log = try? run("tail", "-n", "3", path("error_log")).text
      throw ReadError(
        description: "cat \(node): \(outcome.timedOut ? "hangs" : outcome.errors)\(log ?? "") \(program.errors)")
    }
    return outcome.text
  }

  /// Writes until the write has an answer of its own. A writer is kept waiting for two seconds, and what the program has not come
  /// to by then is ETIMEDOUT, on which it is to be written again; what was begun and goes on is EBUSY until it is done.
  func answered(_ write: () throws -> Child.Outcome) throws -> Child.Outcome {
    var outcome = try write()
    guard outcome.errors.contains("Connection timed out") else { return outcome }
    _ = try eventually(longestPause: 100_000) {
      outcome = try write()
      return !outcome.errors.contains("Connection timed out") && !outcome.errors.contains("Device or resource busy")
    }
    return outcome
  }

  /// `cat > config` of a text.
  func configure(_ text: String) throws -> Child.Outcome {
    try answered {
      try Child.run(["sh", "-c", #"cat > "$1""#, "sh", path("config")], input: Data(text.utf8))
    }
  }

  /// One value without its newline.
  func value(_ node: String) throws -> String {
    var text = try cat(node)
    if text.hasSuffix("\n") { text.removeLast() }
    return text
  }

  /// `echo VALUE > NODE` that must succeed.
  func echo(_ value: String, to node: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let outcome = try answered { try shell(#"echo "$1" > "$2""#, value, path(node)) }
    #expect(outcome.status == 0, "echo \(value) > \(node): \(outcome.errors)", sourceLocation: sourceLocation)
  }

  /// `echo VALUE > NODE` that must fail; what the shell said.
  /// - Parameter finally: written again while the program has not come to it, as a busy machine has it. For what is opened
  ///   before it is refused.
  @discardableResult
  func refusal(
    of value: String, to node: String, finally: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let write = { try shell(#"echo "$1" > "$2""#, value, self.path(node)) }
    let outcome = try finally ? answered(write) : write()
    #expect(outcome.status != 0, "echo \(value) > \(node) was taken", sourceLocation: sourceLocation)
    #expect(!outcome.timedOut, "echo \(value) > \(node) hung", sourceLocation: sourceLocation)
    return outcome.errors
  }

  func exists(_ node: String) throws -> Bool { try run("test", "-e", path(node)).status == 0 }

  /// The `key: value` lines of a node.
  func facts(_ node: String) throws -> [String: String] {
    Dictionary(
      try cat(node).split(separator: "\n").compactMap { line in
        guard let colon = line.range(of: ": ") else { return nil }
        return (String(line[..<colon.lowerBound]), String(line[colon.upperBound...]))
      }, uniquingKeysWith: { first, _ in first })
  }

  /// The counts of an object's `stats`.
  func stats(_ object: String) throws -> [String: Int] { try facts("\(object)/stats").compactMapValues { Int($0) } }

  /// By `health` nothing stands still and nothing failed. It may lose frames, which a machine with much to do does.
  var moves: Bool {
    get throws {
      let text = try cat("health")
      return text.hasPrefix("ok\n") || text.hasPrefix("degraded\n") && !text.contains(", still for ")
    }
  }

  /// Requests that wait inside the program; -1 where it does not say.
  func parkedRequests() throws -> Double { Metrics(try cat("metrics"))["mpifs_filesystem_parked_requests"] ?? -1 }

  /// Lines of `error_log`.
  func errorLog() throws -> [String] { try cat("error_log").split(separator: "\n").map(String.init) }

  /// Stops the program as SIGSTOP does, and waits until each of its threads stands: they do so one after the other, and
  /// one that does not yet may still answer. `program.signal(SIGCONT)` lets it go on.
  func suspend(sourceLocation: SourceLocation = #_sourceLocation) {
    program.signal(SIGSTOP)
    let stands = eventually { isSuspended }
    #expect(stands, "its threads go on after SIGSTOP", sourceLocation: sourceLocation)
  }

  private var isSuspended: Bool {
    let tasks = "/proc/\(pid)/task"
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
    return !threads.isEmpty
      && threads.allSatisfy { thread in
        // One that is gone has ended meanwhile.
        let status = try? String(contentsOfFile: "\(tasks)/\(thread)/status", encoding: .utf8)
        guard let status else { return true }
        return status.contains("State:\tT")
      }
  }

  /// The pattern's numbers in what was recorded of `venc/0` rise, and no more of them are missing than the stages before
  /// it and itself have counted as dropped, and the stream as lost by its readers: a machine with much to do makes a stage
  /// leave frames out and a reader come late, and it says so.
  func expectRising(_ numbers: [Int], sourceLocation: SourceLocation = #_sourceLocation) throws {
    let steps = zip(numbers.dropFirst(), numbers).map(-)
    #expect(steps.allSatisfy { $0 > 0 }, "\(steps)", sourceLocation: sourceLocation)
    let dropped = try ["vi/0", "vpss/0", "vpss/0/0", "venc/0"].reduce(0) { try $0 + (stats($1)["dropped"] ?? 0) }
    let lost = try stats("venc/0")["reader_lost_pictures"] ?? 0
    let missing = steps.reduce(0) { $0 + $1 - 1 }
    #expect(
      missing <= dropped + lost, "\(dropped) were dropped and \(lost) lost, missing are \(missing): \(steps)",
      sourceLocation: sourceLocation)
  }

  /// Waits until an object's count has grown by so many.
  func advances(_ object: String, _ key: String, by count: Int) throws -> Bool {
    let first = try stats(object)[key] ?? 0
    return try eventually { (try stats(object)[key] ?? 0) >= first + count }
  }
}

/// The mount with the default pipeline on `pattern`, shared by all tests that change nothing for others. It is ended when
/// the process ends.
enum Shared {
  private static let served = Result { try Served(["--input", "pattern"], ahead: true) }
  private static let empty = Result { try Served(["--load", "none"]) }
  private static let channel = NSLock()
  nonisolated(unsafe) private static var channels = 0

  static var pipeline: Served {
    get throws {
      let served = try served.get()
      atExit
      return served
    }
  }

  /// A mount without a pipeline, for tests that make channels of their own and look at nothing else.
  static var tables: Served {
    get throws {
      let empty = try empty.get()
      emptyAtExit
      return empty
    }
  }

  /// A number of an encoder in ``tables`` that nobody else gets.
  static func nextChannel() throws -> Int {
    channel.withLock {
      channels += 1
      return channels
    }
  }

  private static func end(_ served: Result<Served, any Error>) {
    guard case .success(let served) = served else { return }
    served.end()
    served.removeLogs()
  }

  private static let atExit: Void = { atexit { Shared.end(Shared.served) } }()
  private static let emptyAtExit: Void = { atexit { Shared.end(Shared.empty) } }()
}

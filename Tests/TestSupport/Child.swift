// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// A child process in a process group of its own, its output in files so that no pipe can fill up. Everything tests do to a
/// mounted tree is done by children with deadlines: whatever hangs there hangs a child, not the run.
///
/// Foundation's `Process` learns of a child's end by a socket that other children, started at the same moment, inherit and keep
/// open; this one asks the kernel.
public final class Child: @unchecked Sendable {
  public struct Outcome: Sendable {
    /// Exit status, or 128 + signal.
    public var status: Int32
    public var timedOut = false
    public var output: Data
    public var errors: String
    public var text: String { String(decoding: output, as: UTF8.self) }
    public var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: true) }
  }

  public struct SpawnError: Error, CustomStringConvertible {
    public var description: String
  }

  /// Held while a child is made, so that descriptors can be made private to this process without a gap.
  public static let spawning = NSLock()

  public let pid: pid_t
  public let arguments: [String]
  private let folder: URL
  private let lock = NSLock()
  private var status: Int32?

  /// - Parameters:
  ///   - arguments: the program (looked up in PATH) and its arguments.
  ///   - input: what it reads on stdin; nothing by default.
  ///   - inputDescriptor: a descriptor to be its stdin instead.
  public init(
    _ arguments: [String], input: Data? = nil, inputDescriptor: Int32? = nil, environment: [String: String] = [:]
  ) throws {
    self.arguments = arguments
    folder = FileManager.default.temporaryDirectory.appending(path: "mpifs-child-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    if let input { try input.write(to: folder.appending(path: "in")) }

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let inputDescriptor {
      posix_spawn_file_actions_adddup2(&actions, inputDescriptor, 0)
    } else {
      let stdin = input == nil ? "/dev/null" : folder.appending(path: "in").path
      posix_spawn_file_actions_addopen(&actions, 0, stdin, O_RDONLY, 0)
    }
    let (out, err) = (folder.appending(path: "out").path, folder.appending(path: "err").path)
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644)
    posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var usual = sigset_t()
    sigfillset(&usual)
    posix_spawnattr_setsigdefault(&attributes, &usual)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    var variables = ProcessInfo.processInfo.environment
    // The tools' messages are compared.
    variables["LC_ALL"] = "C"
    variables.merge(environment) { _, new in new }
    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in argv + envp { free(text) } }
    var pid: pid_t = 0
    let result = Self.spawning.withLock { posix_spawnp(&pid, arguments[0], &actions, &attributes, &argv, &envp) }
    guard result == 0 else {
      try? FileManager.default.removeItem(at: folder)
      throw SpawnError(description: "\(arguments[0]): \(String(cString: strerror(result)))")
    }
    self.pid = pid
  }

  deinit {
    signal(SIGKILL)
    // A child in uninterruptible sleep is left to init rather than waited for.
    _ = ended(within: 5)
    removeFiles()
  }

  /// Removes what it was given and what it said.
  public func removeFiles() { try? FileManager.default.removeItem(at: folder) }

  /// What it has written to stdout so far.
  public var output: Data { (try? Data(contentsOf: folder.appending(path: "out"))) ?? Data() }
  public var outputText: String { String(decoding: output, as: UTF8.self) }
  /// What it has written to stderr so far.
  public var errors: String {
    String(decoding: (try? Data(contentsOf: folder.appending(path: "err"))) ?? Data(), as: UTF8.self)
  }
  /// Bytes written to stdout so far.
  public var outputSize: Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: folder.appending(path: "out").path)
    return (attributes?[.size] as? Int) ?? 0
  }

  public var isRunning: Bool { poll() == nil }

  /// Sends a signal to the child and all it started in its group.
  public func signal(_ number: Int32) {
    lock.lock()
    defer { lock.unlock() }
    if status == nil { kill(-pid, number) }
  }

  /// The exit status once the child has ended.
  private func poll() -> Int32? {
    lock.lock()
    defer { lock.unlock() }
    if let status { return status }
    var raw: Int32 = 0
    let found = waitpid(pid, &raw, WNOHANG)
    guard found == pid || (found < 0 && errno == ECHILD) else { return nil }
    let ended = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
    status = ended
    // What it left running in the background of its group.
    kill(-pid, SIGKILL)
    return ended
  }

  /// Waits for the end; the exit status, or `nil` when the deadline passed.
  @discardableResult
  public func ended(within seconds: Double = patience) -> Int32? {
    let deadline = ContinuousClock.now + .seconds(seconds)
    var pause: UInt32 = 300
    while true {
      if let status = poll() { return status }
      if ContinuousClock.now > deadline { return nil }
      usleep(pause)
      pause = min(pause * 2, 2_000)
    }
  }

  /// Waits for the end, killing the child at the deadline.
  public func outcome(within seconds: Double) -> Outcome {
    if let status = ended(within: seconds) { return Outcome(status: status, output: output, errors: errors) }
    signal(SIGKILL)
    let status = ended(within: 10) ?? -1
    return Outcome(status: status, timedOut: true, output: output, errors: errors)
  }

  public static func run(
    _ arguments: [String], input: Data? = nil, environment: [String: String] = [:], timeout: Double = patience
  ) throws -> Outcome {
    let child = try Child(arguments, input: input, environment: environment)
    return child.outcome(within: timeout)
  }
}

/// Runs a program; `run("cat", path)`.
public func run(_ arguments: String..., input: String? = nil, timeout: Double = patience) throws -> Child.Outcome {
  try Child.run(arguments, input: input.map { Data($0.utf8) }, timeout: timeout)
}

/// Runs a script with bash, whose built-in echo names the errno of a failed write.
public func shell(_ script: String, _ arguments: String..., timeout: Double = patience) throws -> Child.Outcome {
  try Child.run(["bash", "-c", script, "bash"] + arguments, timeout: timeout)
}

/// Runs a Python script.
public func python(_ script: String, _ arguments: String..., input: String? = nil, timeout: Double = patience) throws
  -> Child.Outcome
{
  try Child.run(["python3", "-c", script] + arguments, input: input.map { Data($0.utf8) }, timeout: timeout)
}

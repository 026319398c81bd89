// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// What this machine has of what the tests need. What is missing makes tests fail with the reason: Tests/run installs it
/// all, and names the tier as not run where the machine cannot have it.
enum Machine {
  struct Missing: Error, CustomStringConvertible {
    var description: String
  }

  /// The program under test: the one built beside the tests, or `MPIFS_BINARY`.
  static let binary: String = {
    if let given = ProcessInfo.processInfo.environment["MPIFS_BINARY"], !given.isEmpty { return given }
    let here = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
    // The runner is SwiftPM's helper on some versions and the test product itself on others.
    let candidates =
      [here] + CommandLine.arguments.filter { $0.hasPrefix("/") }
      + [URL(filePath: #filePath).appending(path: "../../../../.build/debug/x").standardizedFileURL.path]
    for candidate in candidates {
      let path = (candidate as NSString).deletingLastPathComponent + "/mpifs"
      if access(path, X_OK) == 0 { return path }
    }
    return "/nonexistent/mpifs"
  }()

  static let repository = URL(filePath: #filePath).appending(path: "../../../..").standardizedFileURL.path

  /// Whether the build reads media files.
  static let hasFFmpeg: Bool = {
    let version = try? run(binary, "--version")
    return version?.text.contains("FFmpeg") ?? false
  }()

  static let hasX264: Bool = {
    let version = try? run(binary, "--version")
    return version?.text.contains("X264") ?? false
  }()

  static let hasX265: Bool = {
    let version = try? run(binary, "--version")
    return version?.text.contains("X265") ?? false
  }()

  static let tools = [
    "bash", "busybox", "cat", "cp", "dd", "ffmpeg", "ffprobe", "find", "fusermount3", "grep", "ls", "promtool",
    "python3", "rsync", "setpriv", "stat", "tar", "timeout",
  ]

  /// Throws with what is missing; checked before the first mount.
  static func check() throws {
    guard access(binary, X_OK) == 0 else {
      throw Missing(description: "no mpifs beside the tests; build it or set MPIFS_BINARY")
    }
    guard access("/dev/fuse", R_OK | W_OK) == 0 else {
      throw Missing(description: "/dev/fuse: \(String(cString: strerror(errno))): nothing can be mounted here")
    }
    guard geteuid() == 0 else { throw Missing(description: "not root: the mounted tier needs it") }
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let missing = tools.filter { tool in
      !path.split(separator: ":").contains { access("\($0)/\(tool)", X_OK) == 0 }
    }
    guard missing.isEmpty else {
      throw Missing(description: "programs these tests use are missing: \(missing.joined(separator: " "))")
    }
  }
}

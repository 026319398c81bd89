// SPDX-License-Identifier: Apache-2.0
import CFuse3
import Glibc
import Synchronization

/// Collects what libfuse says while it mounts: it is the only account of why that failed.
enum FuseLog {
  private static let lines = Mutex<[String]?>(nil)
  /// libfuse has one log function for the process.
  private static let turn = Mutex<Void>(())

  static func capture<R>(_ body: () -> R) -> (result: R, text: String) {
    turn._unsafeLock()
    defer { turn._unsafeUnlock() }
    lines.withLock { $0 = [] }
    nodefs_log_to { line in
      guard let line else { return }
      FuseLog.add(String(cString: line))
    }
    let result = body()
    nodefs_log_to(nil)
    let text = lines.withLock {
      let text = ($0 ?? []).joined(separator: "; ")
      $0 = nil
      return text
    }
    return (result, text)
  }

  private static func add(_ line: String) {
    var text = Substring(line)
    while let last = text.last, last.isNewline { text.removeLast() }
    if text.hasPrefix("fuse: ") { text = text.dropFirst(6) }
    lines.withLock { $0?.append(String(text)) }
  }
}

// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Why a tree could not be mounted.
public enum MountError: Error, Hashable, Sendable, CustomStringConvertible {
  /// There is no usable `/dev/fuse`.
  case noDevice(Errno)
  /// The mount point cannot be looked at: it does not exist, or a directory above it is closed to us.
  case unreachable(path: String, Errno)
  case notADirectory(path: String)
  /// Another live process of ours serves this directory; its pid where it can be known.
  case alreadyServed(path: String, pid: Int32?)
  /// A mount of ours is there whose process exists but does not answer.
  case notAnswering(path: String, pid: Int32?)
  /// Another filesystem is mounted there.
  case occupied(path: String, by: String)
  /// The kernel or fusermount3 refused the mount; what libfuse said about it.
  case refused(path: String, detail: String)
  /// Mounted, but the kernel did not begin the conversation.
  case noAnswer(path: String)
  /// The tree is served already.
  case treeInUse
  /// The options make no sense.
  case badOptions(String)

  public var description: String {
    switch self {
    case .noDevice(let errno):
      "no FUSE here: /dev/fuse: \(errno) (load the fuse module; in a container pass --device /dev/fuse)"
    case .unreachable(let path, let errno): "\(path.isEmpty ? "(empty path)" : path): \(errno)"
    case .notADirectory(let path): "\(path): not a directory"
    case .alreadyServed(let path, let pid): "\(path): already served by \(Self.process(pid))"
    case .notAnswering(let path, let pid):
      "\(path): served by \(Self.process(pid)), which does not answer (end it, then start again)"
    case .occupied(let path, let by): "\(path): another filesystem is mounted there (\(by))"
    case .refused(let path, let detail): "\(path): cannot mount: \(detail)"
    case .noAnswer(let path): "\(path): mounted, but the kernel sent no request"
    case .treeInUse: "the tree is served already"
    case .badOptions(let why): why
    }
  }

  private static func process(_ pid: Int32?) -> String { pid.map { "pid \($0)" } ?? "another process" }
}

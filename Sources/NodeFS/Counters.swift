// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// What was asked of a tree since it was made, and how it went. Counts never go down.
public struct Activity: Sendable {
  /// Requests the kernel sent, by their name in the FUSE protocol, lower case: `open`, `read`, `getattr`.
  public var requests: [String: UInt64] = [:]
  /// Replies with an error, by errno.
  public var failures: [Errno: UInt64] = [:]
  /// Requests that wait for their answer now.
  public var parked = 0
  /// How often a node's text was rendered.
  public var renders: UInt64 = 0
  /// Bytes given to readers.
  public var bytesRead: UInt64 = 0
  /// Bytes taken from writers.
  public var bytesWritten: UInt64 = 0
  /// Parked requests ended by a signal to the caller.
  public var interrupts: UInt64 = 0
  /// Parked requests that nobody answered in time.
  public var timeouts: UInt64 = 0
}

/// The counters behind `Activity`.
final class Counters: @unchecked Sendable {
  // `@unchecked`: the arrays are allocated once and only touched atomically.
  static let opcodeCount = 64
  static let errnoCount = 134

  let opcodes = Block(opcodeCount)
  private let errnos = Block(errnoCount)
  let renders = Atomic<UInt64>(0)
  let bytesRead = Atomic<UInt64>(0)
  let bytesWritten = Atomic<UInt64>(0)
  let interrupts = Atomic<UInt64>(0)
  let timeouts = Atomic<UInt64>(0)

  func failed(_ errno: Errno) {
    errnos.add(1, at: min(max(Int(errno.rawValue), 0), Self.errnoCount - 1))
  }

  func activity(parked: Int) -> Activity {
    var activity = Activity(
      parked: parked, renders: renders.load(ordering: .relaxed), bytesRead: bytesRead.load(ordering: .relaxed),
      bytesWritten: bytesWritten.load(ordering: .relaxed), interrupts: interrupts.load(ordering: .relaxed),
      timeouts: timeouts.load(ordering: .relaxed))
    for opcode in 0..<Self.opcodeCount where opcodes[opcode] > 0 {
      activity.requests[Opcode.name(opcode)] = opcodes[opcode]
    }
    for errno in 0..<Self.errnoCount where errnos[errno] > 0 {
      activity.failures[Errno(rawValue: CInt(errno))] = errnos[errno]
    }
    return activity
  }

  /// A row of counters in memory that C may count in, too.
  final class Block: @unchecked Sendable {
    let count: Int
    let cells: UnsafeMutablePointer<Atomic<UInt64>>

    init(_ count: Int) {
      self.count = count
      cells = .allocate(capacity: count)
      for index in 0..<count { (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
      cells.deinitialize(count: count)
      cells.deallocate()
    }

    func add(_ amount: UInt64, at index: Int) {
      cells[index].wrappingAdd(amount, ordering: .relaxed)
    }

    subscript(index: Int) -> UInt64 { cells[index].load(ordering: .relaxed) }
  }
}

/// Names of the FUSE protocol's requests (`enum fuse_opcode` of `linux/fuse.h`).
enum Opcode {
  private static let names: [Int: String] = [
    1: "lookup", 2: "forget", 3: "getattr", 4: "setattr", 5: "readlink", 6: "symlink", 8: "mknod", 9: "mkdir",
    10: "unlink", 11: "rmdir", 12: "rename", 13: "link", 14: "open", 15: "read", 16: "write", 17: "statfs",
    18: "release", 20: "fsync", 21: "setxattr", 22: "getxattr", 23: "listxattr", 24: "removexattr", 25: "flush",
    26: "init", 27: "opendir", 28: "readdir", 29: "releasedir", 30: "fsyncdir", 31: "getlk", 32: "setlk",
    33: "setlkw", 34: "access", 35: "create", 36: "interrupt", 37: "bmap", 38: "destroy", 39: "ioctl", 40: "poll",
    41: "notify_reply", 42: "batch_forget", 43: "fallocate", 44: "readdirplus", 45: "rename2", 46: "lseek",
    47: "copy_file_range", 48: "setupmapping", 49: "removemapping", 50: "syncfs", 51: "tmpfile", 52: "statx",
  ]

  static func name(_ opcode: Int) -> String { names[opcode] ?? "opcode_\(opcode)" }
}

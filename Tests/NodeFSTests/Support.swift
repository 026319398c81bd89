// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import Synchronization
import SystemPackage
import TestSupport

@testable import NodeFS

/// Of a process that no machine has: whether two callers are threads of one process is asked of the kernel.
let someone = Caller(pid: (1 << 22) + 1, uid: 1000, gid: 1000)

extension NodeTree {
  /// Opens the node at `path` as the adapter does.
  func openHandle(_ path: String, flags: CInt = O_RDONLY) throws -> Handle {
    switch try open(try find(path), flags: flags, caller: someone) {
    case .handle(let handle): return handle
    case .picture: throw NodeError(.invalidArgument, "a picture")
    case .preparing: throw NodeError(.invalidArgument, "not prepared")
    }
  }

  func find(_ path: String) throws -> Node {
    var node: Node = root
    for name in path.split(separator: "/") { node = try lookup(String(name), in: inode(of: node)) }
    return node
  }

  /// One `write(2)`; the answers that came, which must be one in the end.
  func write(_ bytes: [UInt8], to handle: Handle, at offset: Int64 = 0, arm: (UInt64) -> Void = { _ in }) throws
    -> Answers<Void>
  {
    let answers = Answers<Void>()
    switch try bytes.withUnsafeBytes({ try write($0, at: offset, to: handle, caller: someone) }) {
    case .taken: answers.add(.success(()))
    case .command(let command):
      let parked = parked(handle.node, .write, someone, deadline: command.deadline) { answers.add($0) }
      run(command, through: handle, bytes, at: offset, caller: someone, parked: parked, arm: arm)
    case .sink: throw NodeError(.invalidArgument, "a sink")
    }
    return answers
  }
}

extension Handle {
  func bytes(at offset: Int64 = 0, size: Int = 1 << 20) throws -> [UInt8] {
    guard case .slice(let slice) = try read(offset: offset, size: size, isNonblocking: true) else {
      throw NodeError(.resourceTemporarilyUnavailable)
    }
    return slice.bytes
  }

  func text(at offset: Int64 = 0, size: Int = 1 << 20) throws -> String {
    String(decoding: try bytes(at: offset, size: size), as: UTF8.self)
  }
}

/// What a parked request was answered with.
final class Answers<Value: Sendable>: Sendable {
  private let all = Monitor<[Result<Value, NodeError>]>([])

  func add(_ answer: Result<Value, NodeError>) { all.change { $0.append(answer) } }

  var count: Int { all.withLock { $0.count } }

  var errors: [Errno] {
    all.withLock {
      $0.compactMap {
        if case .failure(let error) = $0 { return error.errno }
        return nil
      }
    }
  }

  /// The first answer; nil when none comes.
  func first() -> Result<Value, NodeError>? {
    all.wait(until: Clock.now() + .seconds(Int64(patience))) { $0.first }
  }
}

/// A counter for tests.
final class Count: Sendable {
  private let value = Mutex(0)
  @discardableResult
  func next() -> Int {
    value.withLock {
      $0 += 1
      return $0
    }
  }
  var now: Int { value.withLock { $0 } }
}

func errno(_ body: () throws -> Void) -> Errno? {
  do {
    try body()
    return nil
  } catch let error as NodeError {
    return error.errno
  } catch {
    return Errno(rawValue: 0)
  }
}

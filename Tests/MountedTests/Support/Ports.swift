// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// Ports for the servers that tests start.
enum Ports {
  private static let lock = NSLock()
  /// Where two runs begin is seldom the same.
  nonisolated(unsafe) private static var last = 20_000 + Int(getpid()) % 10_000

  /// A port nobody listens at, and that nobody gets by chance until the test's own server has it: the kernel gives those from 32768
  /// on to whoever connects somewhere, and each test of this process gets another one.
  static func free() throws -> String {
    for _ in 0..<1000 {
      let port = lock.withLock { () -> Int in
        last = last >= 29_999 ? 20_000 : last + 1
        return last
      }
      let outcome = try python(
        """
        import socket, sys
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            socket.socket(socket.AF_INET, kind).bind(('', int(sys.argv[1])))
        """, String(port))
      if outcome.status == 0 { return String(port) }
    }
    throw Machine.Missing(description: "no port from 20000 to 29999 is free")
  }
}

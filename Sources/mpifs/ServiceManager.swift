// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Tells the service manager how far the program is (`sd_notify(3)`: datagrams to the socket named by
/// `NOTIFY_SOCKET`). Written out because libsystemd would be one more library on every board for one datagram.
enum ServiceManager {
  /// The tree answers.
  static func ready(serving path: String) { send("READY=1\nSTATUS=serving \(path)\nMAINPID=\(getpid())\n") }

  /// Ending has begun.
  static func stopping() { send("STOPPING=1\n") }

  /// Without a service manager this does nothing; a manager that does not listen is no reason to stop.
  private static func send(_ message: String) {
    guard let name = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }), name.utf8.count > 1 else { return }
    var address = sockaddr_un()
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard name.utf8.count < room else { return }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { path in
      for (index, byte) in name.utf8.enumerated() { path[index] = byte }
      // A leading `@` stands for the abstract namespace, whose names begin with a zero byte.
      if path[0] == UInt8(ascii: "@") { path[0] = 0 }
    }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + name.utf8.count)
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
        _ = message.withCString { sendto(descriptor, $0, strlen($0), Int32(MSG_NOSIGNAL), target, length) }
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import Glibc
internal import MediaCore
import Synchronization
internal import SystemPackage

/// Instances of devices whose picture took too long, on their way out.
///
/// Closing such an instance waits in the kernel until the hardware comes back (`v4l2_m2m_ctx_release` waits for the
/// running job), which may be never. A thread of its own does that, so that no worker of the graph hangs with the
/// device; until it is done the device is not opened again, so there is one such thread a device at most.
enum HangingDevices {
  private static let paths = Mutex<[String: Int]>([:])

  /// Whether an instance of the device is still waited for.
  static func contains(_ path: String) -> Bool { paths.withLock { $0[path] != nil } }

  /// - Throws: EBUSY while an instance of the device is still waited for.
  static func check(_ path: String) throws(Failure) {
    guard contains(path) else { return }
    throw Failure(.resourceBusy, "open", on: path, "it has not come back from a picture that took too long")
  }

  /// Drops what keeps the instance open. The caller keeps no reference to any of it.
  static func release(_ instance: HangingInstance) {
    paths.withLock { $0[instance.path, default: 0] += 1 }
    do throws(Errno) {
      _ = try Thread("device-close") { finish(instance) }
    } catch {
      // Without a thread it is waited for here: late, but nothing is left open.
      finish(instance)
    }
  }

  private static func finish(_ instance: HangingInstance) {
    instance.close()
    let path = instance.path
    paths.withLock { paths in
      paths[path, default: 1] -= 1
      if paths[path] == 0 { paths[path] = nil }
    }
  }
}

/// An instance that is to be closed: its ports with the device, and the pictures the hardware may still be at.
///
/// Sendable by hand: made by one thread, closed by another, once.
final class HangingInstance: @unchecked Sendable {
  let path: String
  private var ports: [M2MPort]
  private var pictures: [HeldPicture]

  init(_ ports: [M2MPort], holding pictures: [HeldPicture] = []) {
    self.path = ports.first?.device.path ?? ""
    self.ports = ports
    self.pictures = pictures
  }

  func close() {
    // The device before the pictures, since until it is closed it may write; and it is closed here: the owner, which
    // is about to let go of it, must not be the last.
    guard var device = ports.first?.device else { return }
    ports = []
    while !isKnownUniquelyReferenced(&device) { usleep(1000) }
    _ = consume device
    pictures = []
  }
}

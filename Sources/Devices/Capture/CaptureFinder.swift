// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LinuxMedia
internal import MediaCore
internal import SystemPackage

/// Opens a capture device, and finds it again after it left: a camera that is plugged in again may get another number.
///
/// It is the same device when driver, name and place on the bus are the same. A stable name (`/dev/v4l/by-id/...`) is the
/// system's own word for which device is meant: there nothing is compared and no other node is looked at.
struct CaptureFinder {
  let path: String
  private let kernel: any Kernel
  private let isStable: Bool
  private var identity: V4L2Capability?
  /// The nodes there were when all of them were asked last.
  private var asked: [String] = []
  private var looks = 0

  /// Looks between two rounds in which all nodes are asked although none came or went.
  private static let looksOfRound = 50

  init(_ path: String, kernel: any Kernel) {
    self.path = path
    self.kernel = kernel
    self.isStable = CaptureFinder.number(of: path) == nil
  }

  /// The device under its path; after the first time also under another one.
  mutating func open() throws(Failure) -> V4L2Device {
    let found: V4L2Device
    do throws(Failure) {
      found = try CaptureFinder.open(path, kernel)
    } catch {
      if let other = elsewhere() { return other }
      throw error
    }
    if let identity, !isStable, !CaptureFinder.isSame(identity, found.capability) {
      if let other = elsewhere() { return other }
      throw Failure(.deviceGone, "open", on: path, "\(found.capability.card) is there now, another device")
    }
    identity = found.capability
    asked = []
    return found
  }

  /// The node a device is open under, links resolved.
  static func node(_ path: String) -> String {
    guard number(of: path) == nil, let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private mutating func elsewhere() -> V4L2Device? {
    guard let identity, !isStable, !identity.bus.isEmpty, let slash = path.lastIndex(of: "/") else { return nil }
    let nodes = DeviceInventory.nodes(in: String(path[..<slash]), prefix: "video")
    looks += 1
    // Opening wakes devices up: only when there is something new, and now and then.
    guard nodes != asked || looks % CaptureFinder.looksOfRound == 0 else { return nil }
    asked = nodes
    for node in nodes where node != path {
      do throws(Failure) {
        let device = try CaptureFinder.open(node, kernel)
        if CaptureFinder.isSame(identity, device.capability) {
          asked = []
          return device
        }
      } catch {
        // Its permissions are still being set: asked again.
        if error.errno == .permissionDenied { asked = [] }
      }
    }
    return nil
  }

  private static func isSame(_ a: V4L2Capability, _ b: V4L2Capability) -> Bool {
    a.driver == b.driver && a.card == b.card && a.bus == b.bus
  }

  /// N of `.../videoN`.
  private static func number(of path: String) -> Int? {
    guard let name = path.split(separator: "/").last, name.hasPrefix("video") else { return nil }
    return Int(name.dropFirst(5))
  }

  private static func open(_ path: String, _ kernel: any Kernel) throws(Failure) -> V4L2Device {
    let device: V4L2Device
    do {
      device = try V4L2Device(path, kernel: kernel)
    } catch {
      throw Failure(error, error.errno == .inappropriateIOCTLForDevice ? "no V4L2 device" : "")
    }
    guard device.captureType != nil, !device.isMemoryToMemory, device.capability.flags.contains(.streaming) else {
      throw Failure(.invalidArgument, "open", on: path, "\(device.capability.card) is no capture device")
    }
    return device
  }
}

// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore
import Synchronization
internal import SystemPackage

/// Opens displays on the DRM cards of this machine.
public final class KMSDisplayFactory: DisplayFactory {
  private let root: String
  private let kernel: any Kernel
  private let patience: Int64
  /// Cards that are open, by path.
  private let cards = Mutex<[String: KMSCard]>([:])

  private let changed: @Sendable () -> Void

  /// - Parameters:
  ///   - root: directory with the nodes; `/dev` but for tests.
  ///   - changed: called when a monitor of a card in use came or went.
  public convenience init(
    in root: String = "/dev", kernel: any Kernel = LinuxKernel(), changed: @escaping @Sendable () -> Void = {}
  ) {
    self.init(in: root, kernel: kernel, patience: KMSScreen.patience, changed: changed)
  }

  /// - Parameter patience: the hardware has so long to show a picture, nanoseconds.
  init(in root: String, kernel: any Kernel, patience: Int64, changed: @escaping @Sendable () -> Void = {}) {
    self.root = root
    self.kernel = kernel
    self.patience = patience
    self.changed = changed
  }

  public func open(
    _ configuration: DisplayConfiguration, listener: any DisplayListener
  ) throws(Failure) -> any Display {
    if configuration.device != "auto" { return try open(configuration, configuration.device, listener) }
    let paths = DeviceInventory.nodes(in: "\(root)/dri", prefix: "card")
    var refusals: [Failure] = []
    for path in paths {
      do throws(Failure) {
        return try open(configuration, path, listener)
      } catch {
        refusals.append(error)
      }
    }
    // What stops a card that has a monitor says more than that others have none.
    let absent: [Errno] = [.deviceGone, .notSupported]
    if let telling = refusals.first(where: { !absent.contains($0.errno) }) { throw telling }
    throw Failure(
      .deviceGone, "enable", on: configuration.name,
      paths.isEmpty
        ? "there is no DRM card" : "no DRM card with a connected connector; devices lists what there is")
  }

  private func open(
    _ configuration: DisplayConfiguration, _ path: String, _ listener: any DisplayListener
  ) throws(Failure) -> any Display {
    let known = cards.withLock { $0[path] }
    // One that has ended is not used again.
    let card: KMSCard
    if let known, !known.isUnused {
      card = known
    } else {
      card = try KMSCard(path, kernel: kernel, patience: patience, changed: changed)
    }
    let display = try card.add(configuration, listener: listener)
    cards.withLock { $0[path] = card }
    return display
  }
}

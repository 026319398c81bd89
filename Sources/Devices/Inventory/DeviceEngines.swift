// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
internal import MediaCore
import Synchronization

/// The encoders, decoders and scalers that this machine's devices are, from one look at them to the next.
///
/// A device that has been asked is not asked again as long as it stays: one that is in use may not answer a second opener.
public final class DeviceEngines: Sendable {
  public struct Engines: Sendable {
    public var encoders: [V4L2EncoderFactory] = []
    public var decoders: [V4L2DecoderFactory] = []
    public var scalers: [V4L2ScalerFactory] = []
  }

  private struct Entry: Sendable {
    /// What tells a device from another one that comes under the same node.
    var identity: [String]
    var path: String
    var encoder: V4L2EncoderFactory?
    var decoder: V4L2DecoderFactory?
    var scaler: V4L2ScalerFactory?
  }

  private let kernel: any Kernel
  private let entries = Mutex<[Entry]>([])

  public init(kernel: any Kernel = LinuxKernel()) { self.kernel = kernel }

  /// Those there are now.
  public var engines: Engines {
    var found = Engines()
    for entry in entries.withLock({ $0 }) {
      if let encoder = entry.encoder { found.encoders.append(encoder) }
      if let decoder = entry.decoder { found.decoders.append(decoder) }
      if let scaler = entry.scaler { found.scalers.append(scaler) }
    }
    return found
  }

  /// Takes over what was seen at the last look. Opens devices that are new: for start-up and the thread that watches.
  /// - Returns: whether there are others than before.
  @discardableResult
  public func update(_ inventory: DeviceInventory) -> Bool {
    let old = entries.withLock { $0 }
    var new = inventory.videos.map { video in
      let identity = [video.path, video.driver, video.card, video.bus]
      return old.first { $0.identity == identity }
        ?? Entry(
          identity: identity, path: video.path, encoder: V4L2EncoderFactory(video, kernel: kernel),
          decoder: V4L2DecoderFactory(video, kernel: kernel), scaler: V4L2ScalerFactory(video, kernel: kernel))
    }
    // There, and busy.
    for refused in inventory.refused where refused.failure.errno == .resourceBusy {
      if let known = old.first(where: { $0.path == refused.path }) { new.append(known) }
    }
    let isOther = new.map(\.identity) != old.map(\.identity)
    entries.withLock { $0 = new }
    return isOther
  }
}

// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore

/// What media devices this machine has, as far as this process may open them.
///
/// Made by opening every node and asking it: for start-up and for the control lane, never for a report's thread.
public struct DeviceInventory: Sendable {
  /// One V4L2 node.
  public struct Video: Sendable {
    public var path: String
    public var card: String
    public var driver: String
    public var bus: String
    public var role: VideoRole
    /// What comes out and what goes in, as `v4l2-ctl` names it.
    public var captureFormats: [FourCC]
    public var outputFormats: [FourCC]
    public var isMultiplanar: Bool
    /// Memory each queue takes; `nil` where there is no queue, or the device was busy and did not tell.
    public var captureMemory: QueueCapabilities?
    public var outputMemory: QueueCapabilities?
    /// The raw end of a camera pipeline that must be set up through the media controller (libcamera's field).
    public var needsMediaController: Bool
  }

  /// One DRM card.
  public struct Card: Sendable {
    public var path: String
    public var driver: String
    public var connectors: [Connector]
  }

  /// Where a monitor is plugged in, as the kernel knows it.
  public struct Connector: Sendable {
    public var name: String
    public var isConnected: Bool
    /// What the monitor calls itself.
    public var monitor: String?
    /// Its modes, the preferred first.
    public var modes: [String]
  }

  /// A node that is there and could not be asked.
  public struct Refused: Sendable {
    public var path: String
    public var failure: Failure
  }

  /// By number.
  public var videos: [Video] = []
  public var heaps: [String] = []
  public var hasUdmabuf = false
  public var cards: [Card] = []
  public var refused: [Refused] = []

  /// Looks now.
  /// - Parameter root: directory with the nodes; `/dev` but for tests.
  public init(in root: String = "/dev", kernel: any Kernel = LinuxKernel()) {
    for path in DeviceInventory.nodes(in: root, prefix: "video") {
      do throws(KernelError) {
        videos.append(try DeviceInventory.ask(path, kernel))
      } catch {
        // ENODEV: it was pulled out between listing and opening.
        if error.errno != .deviceGone { refused.append(Refused(path: path, failure: Failure(error))) }
      }
    }
    heaps = AllocatorPolicy.heaps(in: "\(root)/dma_heap")
    hasUdmabuf = listDirectory(root).contains("udmabuf")
    for path in DeviceInventory.nodes(in: "\(root)/dri", prefix: "card") {
      do throws(KernelError) {
        let card = try DRMCard(path, kernel: kernel)
        // Whoever opens a card first becomes its master: looking must not keep others from using it.
        card.dropMaster()
        cards.append(Card(path: path, driver: card.driver, connectors: DeviceInventory.connectors(of: card)))
      } catch {
        refused.append(Refused(path: path, failure: Failure(error)))
      }
    }
  }

  /// What `--input` is when nothing was said: the first camera that gives a picture the runtime can work on.
  /// - Parameter converting: formats it can make those of.
  public func firstCamera(
    accepting formats: [PixelFormat] = V4L2CaptureSource.rawFormats, converting: [PixelFormat] = []
  ) -> String? {
    let formats = formats + converting
    return videos.first { video in
      video.role == .capture && !video.needsMediaController
        && video.captureFormats.contains {
          formats.contains(CaptureFormats.pixelFormat(of: $0) ?? PixelFormat(rawValue: $0.rawValue))
        }
    }?.path
  }

  private static func ask(_ path: String, _ kernel: any Kernel) throws(KernelError) -> Video {
    let device = try V4L2Device(path, kernel: kernel)
    let (capture, output) = (device.captureType, device.outputType)
    let captureFormats = try capture.map { (type) throws(KernelError) in try device.formats(of: type) } ?? []
    let outputFormats = try output.map { (type) throws(KernelError) in try device.formats(of: type) } ?? []
    return Video(
      path: path, card: device.capability.card, driver: device.capability.driver, bus: device.capability.bus,
      role: try device.role(), captureFormats: captureFormats.map(\.fourcc),
      outputFormats: outputFormats.map(\.fourcc),
      isMultiplanar: capture?.isMultiplanar ?? output?.isMultiplanar ?? false,
      captureMemory: capture.flatMap { memory(of: device, $0) },
      outputMemory: output.flatMap { memory(of: device, $0) },
      needsMediaController: device.capability.flags.contains(.mediaController))
  }

  /// Empty without mode setting.
  private static func connectors(of card: DRMCard) -> [Connector] {
    guard let resources = try? card.resources() else { return [] }
    return resources.connectors.compactMap { id -> Connector? in
      guard var found = try? card.connector(id, probe: false), !found.isWriteback else { return nil }
      // Nobody has asked yet since the start of the machine; no picture is there that could flicker.
      if found.status == .unknown {
        // Only the master's request makes the kernel ask the monitor. Not to be had, its old answer must do.
        try? card.becomeMaster()
        if let asked = try? card.connector(id, probe: true) { found = asked }
        card.dropMaster()
      }
      let modes = found.modes.sorted { $0.isPreferred && !$1.isPreferred }
      return Connector(
        name: found.name, isConnected: found.status == .connected, monitor: card.monitor(of: id),
        modes: modes.map(\.description))
    }
  }

  private static func memory(of device: V4L2Device, _ type: BufferType) -> QueueCapabilities? {
    guard device.capability.flags.contains(.streaming) else { return nil }
    do throws(KernelError) {
      let found = try VideoQueue.capabilities(device, type)
      // Drivers before Linux 4.20 tell nothing.
      return found.isEmpty ? nil : found
    } catch {
      return nil
    }
  }

  /// `PREFIXn` in the directory, in order of n.
  static func nodes(in directory: String, prefix: String) -> [String] {
    listDirectory(directory)
      .compactMap { name in name.hasPrefix(prefix) ? Int(name.dropFirst(prefix.count)) : nil }
      .sorted()
      .map { "\(directory)/\(prefix)\($0)" }
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// The kernel's announcements of devices that come, go and change (netlink, NETLINK_KOBJECT_UEVENT). `inotify` sees
/// nothing of what happens in sysfs.
public final class Uevents: Sendable {
  private let socket: Descriptor

  /// - Throws: EPROTONOSUPPORT on a kernel without networking, EPERM in some containers.
  public init(kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    let fd = try checked("socket", on: "uevents") { kernel.uevents() }
    socket = Descriptor(owning: fd, kernel: kernel)
  }

  /// Borrowed, for whoever polls.
  public var raw: CInt { socket.raw }

  /// Takes all announcements that have come.
  /// - Returns: whether one was about a display, or some were lost.
  public func takeDisplayChanges() -> Bool {
    var concerned = false
    var bytes = [UInt8](repeating: 0, count: 8192)
    while true {
      let count = bytes.withUnsafeMutableBytes { buffer in uninterrupted { socket.kernel.read(socket.raw, buffer) } }
      if count == -Int64(ENOBUFS) {
        concerned = true
        continue
      }
      guard count > 0 else { return concerned }
      if Uevents.isAboutDisplay(bytes[..<Int(count)]) { concerned = true }
    }
  }

  /// An announcement is `ACTION@PATH` and `KEY=VALUE` texts, each ended by a zero byte.
  static func isAboutDisplay(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.split(separator: 0).contains { $0.elementsEqual("SUBSYSTEM=drm".utf8) }
  }
}

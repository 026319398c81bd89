// SPDX-License-Identifier: Apache-2.0
import Foundation
import LinuxMedia
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import Devices

/// A camera that is pulled out and plugged in again. Its nodes are files in a folder, and the fake driver answers for one.
@Suite(.ownThread(limit: .seconds(300))) final class CaptureReturnTests {
  private let camera = FakeCamera()
  private let folder = FileManager.default.temporaryDirectory.appending(path: "mpifs-nodes-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: folder.appending(path: "by-id"), withIntermediateDirectories: true)
    plug("video0")
    // Something else that is there all the time, and no device.
    try Data().write(to: folder.appending(path: "video7"))
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  private func node(_ name: String) -> String { folder.appending(path: name).path }

  /// The camera is there under this name.
  private func plug(_ name: String) {
    try? Data().write(to: folder.appending(path: name))
    camera.with {
      $0.path = node(name)
      $0.staysAway = false
    }
  }

  private func unplug() {
    camera.with {
      try? FileManager.default.removeItem(atPath: $0.path)
      $0.isPresent = false
      $0.staysAway = true
    }
  }

  private func open(_ name: String) throws -> V4L2CaptureSource {
    try V4L2CaptureSource(
      node(name),
      SourceRequest(
        width: 640, height: 360, format: .nv12, frameRate: .thirty, allocator: MemfdAllocator(), user: .anonymous,
        poolName: "vi0", bufferCount: 3),
      kernel: camera)
  }

  /// Takes a picture; whoever is told that the device is gone asks again.
  private func takeOne(_ source: V4L2CaptureSource) throws -> Bool {
    do throws(Failure) {
      return try source.next() != nil
    } catch  where error.errno.rawValue == ENODEV {
      return try source.next() != nil
    }
  }

  @Test func underAnotherNumberItIsTakenBack() throws {
    let source = try open("video0")
    #expect(try takeOne(source))
    #expect(source.device == node("video0"))
    unplug()
    plug("video2")
    #expect(try takeOne(source))
    #expect(source.device == node("video2"))
    #expect(source.counters.outages == 1)
    #expect(source.remarks.contains("\(node("video0")) asked, the device came back as \(node("video2"))"))
    // And back again.
    unplug()
    plug("video0")
    #expect(try takeOne(source))
    #expect(source.device == node("video0"))
    #expect(source.counters.outages == 2)
    #expect(!source.remarks.contains { $0.contains("came back as") })
  }

  @Test func anotherCameraThatGetsItsNumberIsNotTaken() throws {
    var finder = CaptureFinder(node("video0"), kernel: camera)
    _ = try finder.open()
    camera.with { $0.bus = "usb-0000:00:14.0-2" }
    let failure = #expect(throws: Failure.self) { _ = try finder.open() }
    #expect(failure?.errno.rawValue == ENODEV)
    #expect(failure?.detail == "Fake is there now, another device")
    unplug()
    plug("video3")
    #expect(throws: Failure.self) { _ = try finder.open() }
    camera.with { $0.bus = "usb-0000:00:14.0-1" }
    // Asked once: it was another one. A node that comes makes it ask again.
    #expect(throws: Failure.self) { _ = try finder.open() }
    try Data().write(to: folder.appending(path: "video4"))
    #expect(try finder.open().path == node("video3"))
  }

  @Test func aStableNameMeansWhateverItNames() throws {
    let link = folder.appending(path: "by-id/usb-Fake-index0").path
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../video0")
    var finder = CaptureFinder(link, kernel: LinkFollowing(inner: camera))
    #expect(try finder.open().capability.card == "Fake")
    #expect(URL(filePath: CaptureFinder.node(link)).lastPathComponent == "video0")
    // In another socket, under another number.
    unplug()
    plug("video2")
    camera.with { $0.bus = "usb-0000:00:14.0-9" }
    try FileManager.default.removeItem(atPath: link)
    #expect(throws: Failure.self) { _ = try finder.open() }
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../video2")
    #expect(try finder.open().capability.bus == "usb-0000:00:14.0-9")
    #expect(URL(filePath: CaptureFinder.node(link)).lastPathComponent == "video2")
  }
}

/// Opens what a link names, as the kernel does.
private struct LinkFollowing: KernelWrapper {
  let inner: any Kernel
  func open(_ path: String, _ flags: CInt) -> CInt {
    let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    let folder = URL(filePath: path).deletingLastPathComponent()
    return inner.open(target.map { folder.appending(path: $0).standardizedFileURL.path } ?? path, flags)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
public import MediaCore
import SystemPackage

/// Coded files for decoder channels: elementary streams (H.264, H.265, VP8 in IVF, motion JPEG, FWHT) by a reader of our own in every
/// build, containers through FFmpeg's demultiplexers.
public struct CodedFileFactory: PacketSourceFactory {
  public init() {}

  public func open(_ path: String, codec: Codec?) throws(Failure) -> any PacketSource {
    let file = try ReadFile(path)
    let first = try file.first(StreamSniffer.enough)
    let found = first.withUnsafeBytes { StreamSniffer.isElementary($0) ? StreamSniffer.codec($0) : nil }
    let source: any PacketSource
    if let found {
      let rate = first.withUnsafeBytes { AccessUnitSplitter.frameRate(ofHeader: $0, found) }
      source = ElementaryFile(file, found, frameRate: rate)
    } else {
      #if FFmpeg
        _ = consume file
        source = try MediaPacketFile(path)
      #else
        throw Failure(
          .notSupported, "open", on: path,
          "not an elementary stream (h264, h265, mjpeg, fwht, vp8 as IVF), and this build has no FFmpeg for containers")
      #endif
    }
    if let codec, codec != source.codec {
      throw Failure(.invalidArgument, "open", on: path, "the file is \(source.codec), not \(codec)")
    }
    return source
  }
}

extension Failure {
  /// What the last system call said.
  fileprivate static func last(_ operation: String, _ path: String) -> Failure {
    Failure(Errno(rawValue: Glibc.errno), operation, on: path)
  }
}

/// Owner of the descriptor of a regular file being read from front to back.
struct ReadFile: ~Copyable {
  private let descriptor: CInt
  let path: String

  /// - Throws: ENOENT, EACCES, EISDIR; EINVAL for a pipe or a device, which could block for ever.
  init(_ path: String) throws(Failure) {
    // O_NONBLOCK: opening a pipe without a writer would wait for one.
    let opened = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard opened >= 0 else { throw Failure.last("open", path) }
    var status = stat()
    guard fstat(opened, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      let isDirectory = status.st_mode & S_IFMT == S_IFDIR
      close(opened)
      throw isDirectory
        ? Failure(.isDirectory, "open", on: path) : Failure(.invalidArgument, "open", on: path, "not a regular file")
    }
    descriptor = opened
    self.path = path
  }

  deinit { close(descriptor) }

  /// The first bytes; the place of reading stays where it was.
  func first(_ count: Int) throws(Failure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = pread(descriptor, &bytes, count, 0)
    guard got >= 0 else { throw Failure.last("read", path) }
    bytes.removeLast(count - got)
    return bytes
  }

  /// Fills the buffer as far as there is something.
  /// - Returns: 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
    while true {
      let got = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if got >= 0 { return got }
      guard Glibc.errno == EINTR else { throw Failure.last("read", path) }
    }
  }
}

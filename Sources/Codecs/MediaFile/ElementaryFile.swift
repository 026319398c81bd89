// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization

/// The last part of a path, for summaries.
func fileName(_ path: String) -> String { path.split(separator: "/").last.map { String($0) } ?? path }

/// A file that is nothing but one coded stream. It has no times, but for IVF's.
///
/// Owns the file and the bytes read ahead.
final class ElementaryFile: PacketSource, @unchecked Sendable {
  private static let piece = 64 << 10

  let summary: String
  let codec: Codec
  let frameRate: FrameRate?
  var skipped: UInt64 { lost.load(ordering: .relaxed) }

  private let file: ReadFile
  private let interrupted = Atomic<Bool>(false)
  private let lost = Atomic<UInt64>(0)
  // Only the thread in `next` touches these.
  private var splitter: AccessUnitSplitter
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece, alignment: 16)
  private var isAtEnd = false

  init(_ file: consuming ReadFile, _ codec: Codec, frameRate: FrameRate?) {
    self.frameRate = frameRate
    summary = "file \(fileName(file.path)) (\(codec) stream)"
    self.file = file
    self.codec = codec
    splitter = AccessUnitSplitter(codec)
  }

  deinit { buffer.deallocate() }

  func next() throws(Failure) -> CodedUnit? {
    defer { lost.store(splitter.skipped, ordering: .relaxed) }
    while !interrupted.load(ordering: .acquiring) {
      if let unit = splitter.next() { return CodedUnit(unit, pts: splitter.time) }
      guard !isAtEnd else { return nil }
      let count = try file.read(into: buffer)
      guard count > 0 else {
        isAtEnd = true
        guard let last = splitter.finish() else { return nil }
        return CodedUnit(last, pts: splitter.time, isCutOff: splitter.isCutOff)
      }
      splitter.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
    return nil
  }

  func interrupt() { interrupted.store(true, ordering: .releasing) }
}

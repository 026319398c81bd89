// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import MediaCore
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

/// Readers of a stream in another form: what they take, what they wait for, how they end.
@Suite(.ownThread) struct StreamFormTests {
  /// A picture becomes its number and its bytes.
  private final class Plain: PictureForm {
    let pictures = Atomic<Int>(0)
    func put(
      _ picture: StreamReader.Picture, _ bytes: UnsafeRawBufferPointer, into out: inout [UInt8]
    ) throws(Failure) -> Bool {
      pictures.add(1, ordering: .relaxed)
      out.append(UInt8(truncatingIfNeeded: picture.pts))
      out.append(contentsOf: bytes)
      return true
    }
  }

  private func put(_ ring: PacketRing, _ numbers: Range<Int>, size: Int = 100) {
    for number in numbers {
      [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size).withUnsafeBytes { ring.append($0) }
      let isKey = number % 10 == 0
      _ = ring.finish(
        pts: Int64(number), picture: CodedPicture(type: isKey ? .idr : .p, isKey: isKey), parameterSets: nil)
    }
  }

  private func ring() -> PacketRing {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open(.mjpeg)
    return ring
  }

  @Test(arguments: [1, 7, 101, 102, 100_000]) func aReaderHoldsOnePictureAtMost(step: Int) throws {
    let ring = ring()
    let form = Plain()
    let reader = FormedReader(try ring.attach(), form)
    put(ring, 0..<20)
    var target = [UInt8](repeating: 0, count: 150)
    // A picture and a half have been read: two have been made, and no third.
    #expect(target.withUnsafeMutableBytes { reader.read(into: $0) } == .bytes(150))
    #expect(form.pictures.load(ordering: .relaxed) == 2)
    #expect(ring.figures.waiting == 18)
    let rest = everything(of: reader, step: step)
    #expect(rest.end == .wouldBlock)
    let expected = (0..<20).flatMap { [UInt8](repeating: UInt8($0), count: 101) }
    #expect(target + rest.bytes == expected)
  }

  @Test func whoReadsNothingCostsNothing() throws {
    let ring = ring()
    let form = Plain()
    let reader = FormedReader(try ring.attach(), form)
    put(ring, 0..<20)
    #expect(form.pictures.load(ordering: .relaxed) == 0)
    reader.close()
    #expect(ring.figures.readers == 0)
  }

  @Test func theChannelsEndIsTheReadersEnd() throws {
    let ring = ring()
    let reader = FormedReader(try ring.attach(), Plain())
    put(ring, 0..<5)
    ring.close()
    let (bytes, end) = everything(of: reader)
    #expect(bytes.count == 5 * 101 && end == .end)
    let other = FormedReader(try ring.attach(), Plain())
    #expect(everything(of: other).end == .wouldBlock, "one that comes meanwhile waits for the next start")
    ring.retire()
    #expect(everything(of: other).end == .gone)
  }

  @Test func aReaderThatWaitsIsCalledForAPictureAndForTheEnd() throws {
    let ring = ring()
    let reader = FormedReader(try ring.attach(), Plain())
    let calls = Atomic<Int>(0)
    reader.whenReadable { calls.add(1, ordering: .relaxed) }
    #expect(calls.load(ordering: .relaxed) == 0)
    put(ring, 0..<1)
    #expect(calls.load(ordering: .relaxed) == 1)
    var byte: UInt8 = 0
    #expect(withUnsafeMutableBytes(of: &byte) { reader.read(into: $0) } == .bytes(1))
    reader.whenReadable { calls.add(1, ordering: .relaxed) }
    #expect(calls.load(ordering: .relaxed) == 2, "the rest of the picture is there")
    _ = everything(of: reader)
    reader.whenReadable { calls.add(1, ordering: .relaxed) }
    #expect(calls.load(ordering: .relaxed) == 2)
    ring.close()
    #expect(calls.load(ordering: .relaxed) == 3)
  }

  // MARK: what a form needs is loaded

  /// Loads when it is told to.
  private final class Libraries: MuxerFactory {
    let loads = Atomic<Int>(0)
    let gate = Monitor(false)
    let failure: Failure?
    init(_ failure: Failure? = nil) { self.failure = failure }
    var absence: Failure? { nil }
    var isLoaded: Bool { false }
    func load() throws(Failure) {
      loads.add(1, ordering: .relaxed)
      _ = gate.wait(until: .max) { $0 ? true : nil }
      if let failure { throw failure }
    }
    func open(_ setup: MuxerSetup) throws(Failure) -> any Muxer { throw Failure(.notSupported, "open", on: "fake") }
  }

  @Test func nothingIsReadBeforeTheLibrariesAreThereAndTheyAreLoadedOnce() throws {
    let (libraries, loader, ring) = (Libraries(), MuxerLoader(), ring())
    let readers = try (0..<3).map { _ in FormedReader(try ring.attach(), Plain()) }
    let calls = Atomic<Int>(0)
    for reader in readers {
      reader.awaitLoading()
      loader.load(libraries) { reader.loaded($0) }
      #expect(everything(of: reader).end == .wouldBlock)
      reader.whenReadable { calls.add(1, ordering: .relaxed) }
    }
    put(ring, 0..<3)
    #expect(everything(of: readers[0]).bytes.isEmpty)
    #expect(calls.load(ordering: .relaxed) == 0)
    libraries.gate.change { $0 = true }
    #expect(eventually { calls.load(ordering: .relaxed) == 3 })
    for reader in readers { #expect(everything(of: reader).bytes.count == 3 * 101) }
    #expect(libraries.loads.load(ordering: .relaxed) == 1)
  }

  @Test func librariesThatAreNotThereFailTheReader() throws {
    let failure = Failure(.notSupported, "dlopen", on: "FFmpeg", "no such file")
    let (libraries, loader, ring) = (Libraries(failure), MuxerLoader(), ring())
    let reader = FormedReader(try ring.attach(), Plain())
    let isCalled = Atomic<Bool>(false)
    reader.awaitLoading()
    loader.load(libraries) { reader.loaded($0) }
    reader.whenReadable { isCalled.store(true, ordering: .relaxed) }
    put(ring, 0..<3)
    libraries.gate.change { $0 = true }
    #expect(eventually { isCalled.load(ordering: .relaxed) })
    #expect(everything(of: reader).end == .failed(failure))
    #expect(ring.figures.readers == 0)
    // Whoever comes next has them looked for again: they may have been installed.
    let isAnswered = Atomic<Bool>(false)
    loader.load(libraries) { _ in isAnswered.store(true, ordering: .relaxed) }
    #expect(eventually { isAnswered.load(ordering: .relaxed) })
    #expect(libraries.loads.load(ordering: .relaxed) == 2)
  }

  // MARK: multipart

  @Test func jpegPicturesBecomePartsWithTheirSizesAndTimes() throws {
    let clip = try CodedClip(.mjpeg, pictures: 5)
    let ring = ring()
    let reader = FormedReader(try ring.attach(), MultipartPictures())
    clip.put(0..<5, into: ring) { 7_000_040 + Int64($0) * 40_000 }
    ring.close()
    let (bytes, end) = everything(of: reader, step: 777)
    #expect(end == .end)
    let times = ["7.000040", "7.040040", "7.080040", "7.120040", "7.160040"]
    let lines = "--mpifs\r\nContent-Type: image/jpeg\r\n"
    var expected: [UInt8] = []
    for (picture, time) in zip(clip.pictures, times) {
      expected += Array("\(lines)Content-Length: \(picture.count)\r\nX-Timestamp: \(time)\r\n\r\n".utf8)
      expected += picture + Array("\r\n".utf8)
    }
    #expect(bytes == expected)
    // FFmpeg finds the same pictures.
    let file = FileManager.default.temporaryDirectory.appending(path: "mpifs-\(UUID().uuidString).mjpeg")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data(bytes).write(to: file)
    let (sizes, complaints) = try ContainerFile.decoded(file.path)
    #expect(sizes == Array(repeating: "320x240", count: 5) && complaints.isEmpty, "\(complaints)")
  }

  @Test func picturesOfAnotherCodingAreRefused() throws {
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    let reader = FormedReader(try ring.attach(), MultipartPictures())
    // The channel was stopped when it was opened, and was then told to code otherwise.
    ring.open(.h264)
    put(ring, 0..<3)
    let failure = Failure(
      .notSupported, "read", on: "stream.mjpeg", "it holds JPEG pictures, and the channel codes h264")
    #expect(everything(of: reader).end == .failed(failure))
  }

  @Test(arguments: [
    (StreamForm.transportStream, [Codec.h264, .h265]), (.fragmentedMP4, [.h264, .h265]), (.multipart, [.mjpeg]),
    (.coded, Codec.allCases),
  ]) func aFormIsThereForTheCodingsItHolds(form: StreamForm, codecs: [Codec]) {
    #expect(Codec.allCases.filter { form.obstacle($0) == nil } == codecs)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import MediaRuntime

/// Coded pictures in MPEG-TS and MP4, as FFmpeg reads them again: every picture, at its own time.
@Suite(.ownThread) struct StreamContainerTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "mpifs-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

  private func file(_ bytes: [UInt8], _ name: String = "out") throws -> String {
    let file = folder.appending(path: name)
    try Data(bytes).write(to: file)
    return file.path
  }

  private func ring(_ codec: Codec) -> PacketRing {
    let ring = PacketRing(capacity: 4 << 20, limit: 4 << 20)
    ring.open(codec)
    return ring
  }

  private func reader(_ ring: PacketRing, _ container: ContainerFormat) throws -> FormedReader {
    let factory = MediaMuxerFactory()
    try factory.load()
    return FormedReader(try ring.attach(), MuxedPictures(container, factory, name: "venc/7"))
  }

  /// About 30 a second, and none quite on its time, as a camera gives them; from an hour after the machine's start.
  private func time(_ index: Int) -> Int64 { 3_600_000_000 + Int64(index) * 33_333 + Int64(index % 3) * 1000 }

  private func ticks(_ index: Int) -> Int { Int((Double(time(index)) * 0.09).rounded()) }

  @Test(arguments: [Codec.h264, .h265], [ContainerFormat.transportStream, .fragmentedMP4])
  func everyPictureIsReadAgainAtItsTime(codec: Codec, container: ContainerFormat) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let clip = try CodedClip(codec)
    let ring = ring(codec)
    let (one, two) = (try reader(ring, container), try reader(ring, container))
    clip.put(0..<40, into: ring, time: time)
    ring.close()
    let (bytes, end) = everything(of: one)
    #expect(end == .end)
    #expect(everything(of: two, step: 333).bytes == bytes, "however it is read")
    let file = try file(bytes)
    let packets = try ContainerFile.packets(file)
    let origin = container == .fragmentedMP4 ? ticks(0) : 0
    #expect(packets.map(\.pts) == (0..<40).map { ticks($0) - origin })
    #expect(packets.enumerated().filter { $0.element.isKey }.map(\.offset) == [0, 10, 20, 30])
    let (sizes, complaints) = try ContainerFile.decoded(file)
    #expect(sizes == Array(repeating: "320x240", count: 40))
    #expect(complaints.isEmpty, "\(complaints)")
  }

  @Test(arguments: [(Codec.h264, "avc1", "avcC"), (.h265, "hvc1", "hvcC")])
  func anMP4IsAHeaderAndAFragmentForEachPicture(codec: Codec, entry: String, configuration: String) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let clip = try CodedClip(codec, pictures: 12)
    let ring = ring(codec)
    let reader = try reader(ring, .fragmentedMP4)
    clip.put(0..<5, into: ring, time: time)
    // A picture's fragment is there as soon as the picture is: nothing is held back for the next one.
    var bytes = everything(of: reader).bytes
    #expect(try #require(MP4Box.all(Data(bytes))).count == 2 + 2 * 5)
    clip.put(5..<12, into: ring, time: time)
    bytes += everything(of: reader).bytes
    let boxes = try #require(MP4Box.all(Data(bytes)))
    let names = ["ftyp", "moov"] + Array(repeating: ["moof", "mdat"], count: 12).flatMap { $0 }
    #expect(boxes.map(\.name) == names)
    let moov = boxes[1]
    #expect(moov.box("mvex", "trex") != nil)
    let sample = try #require(moov.sampleEntry)
    #expect((sample.name, sample.width, sample.height) == (entry, 320, 240))
    #expect(sample.configuration.name == configuration)
    #expect(sample.configuration.content.count > 20, "parameter sets are in it")
    let fragments = boxes.filter { $0.name == "moof" }
    #expect(fragments.map(\.fragmentTime) == (0..<12).map { ticks($0) - ticks(0) })
    #expect(fragments.allSatisfy { $0.sampleCount == 1 })
  }

  @Test func whoComesLaterBeginsAtTheNewestKeyPictureWithItsParameterSets() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let clip = try CodedClip(.h264)
    let ring = ring(.h264)
    // As engines do that write their parameter sets once.
    clip.put(0..<35, into: ring, bare: true, time: time)
    for container in ContainerFormat.allCases {
      let file = try file(everything(of: try reader(ring, container)).bytes, container.rawValue)
      let origin = container == .fragmentedMP4 ? ticks(30) : 0
      #expect(try ContainerFile.packets(file).map(\.pts) == (30..<35).map { ticks($0) - origin })
      let (sizes, complaints) = try ContainerFile.decoded(file)
      #expect(sizes.count == 5 && complaints.isEmpty, "\(complaints)")
    }
  }

  @Test(arguments: ContainerFormat.allCases)
  func aReaderThatStallsLosesWholeGroupsAndItsTimesTell(container: ContainerFormat) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let clip = try CodedClip(.h264, pictures: 300)
    let ring = PacketRing(capacity: 64 << 10, limit: 128 << 10)
    ring.open(.h264)
    let reader = try reader(ring, container)
    clip.put(0..<5, into: ring, time: time)
    var bytes = everything(of: reader).bytes
    clip.put(5..<300, into: ring, time: time)
    ring.close()
    bytes += everything(of: reader).bytes
    let file = try file(bytes)
    let packets = try ContainerFile.packets(file)
    let origin = container == .fragmentedMP4 ? ticks(0) : 0
    let lost = Int(ring.figures.lostPackets)
    #expect(lost > 0)
    #expect(lost % 10 == 5, "from the fifth of a group to the end of another")
    #expect(ring.figures.lostGroups == UInt64(lost + 5) / 10)
    let read: [Int] = Array(0..<5) + Array((5 + lost)..<300)
    #expect(packets.map(\.pts) == read.map { ticks($0) - origin })
    #expect(packets.count > 5 && packets[5].isKey)
    let (sizes, complaints) = try ContainerFile.decoded(file)
    #expect(sizes.count == read.count && complaints.isEmpty, "\(complaints)")
  }

  @Test func atAnotherSizeATransportStreamGoesOnAndAnMP4Ends() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let (large, small) = (try CodedClip(.h264, pictures: 20), try CodedClip(.h264, size: "160x120", pictures: 20))
    let ring = ring(.h264)
    let (ts, mp4) = (try reader(ring, .transportStream), try reader(ring, .fragmentedMP4))
    large.put(0..<20, into: ring, time: time)
    small.put(0..<20, into: ring) { time($0 + 20) }
    let (file, goesOn) = everything(of: ts)
    #expect(goesOn == .wouldBlock)
    let sizes = Array(repeating: "320x240", count: 20) + Array(repeating: "160x120", count: 20)
    #expect(try ContainerFile.decoded(try self.file(file)).sizes == sizes)
    let (first, end) = everything(of: mp4)
    #expect(end == .end)
    #expect(everything(of: mp4).end == .end, "for good")
    let packets = try ContainerFile.packets(try self.file(first))
    #expect(packets.map(\.pts) == (0..<20).map { ticks($0) - ticks(0) })
    // Nobody counts pictures for a reader whose file has ended.
    #expect(ring.figures.readers == 1)
    let next = try reader(ring, .fragmentedMP4)
    let boxes = try #require(MP4Box.all(Data(everything(of: next).bytes)))
    #expect(boxes[1].sampleEntry?.width == 160)
  }

  @Test func theSameSizeWithOtherParameterSetsGoesOn() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    // Groups of another length: another maximal number of frames in the sequence parameter set.
    let (one, two) = (try CodedClip(.h264, pictures: 20), try CodedClip(.h264, pictures: 300, gop: 300))
    let ring = ring(.h264)
    let reader = try reader(ring, .fragmentedMP4)
    one.put(0..<20, into: ring, time: time)
    two.put(0..<30, into: ring) { time($0 + 20) }
    let sets = [one, two].map { clip in clip.pictures[0].withUnsafeBytes { Array(ParameterSets.leading($0, .h264)) } }
    try #require(sets[0] != sets[1])
    let (bytes, end) = everything(of: reader)
    #expect(end == .wouldBlock)
    let (sizes, complaints) = try ContainerFile.decoded(try file(bytes))
    #expect(sizes.count == 50 && complaints.isEmpty, "\(complaints)")
  }

  @Test(arguments: ContainerFormat.allCases)
  func whereTheClockIsSetBackTimeGoesOn(container: ContainerFormat) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let clip = try CodedClip(.h264)
    let ring = ring(.h264)
    let reader = try reader(ring, container)
    clip.put(0..<20, into: ring) { 50_000_000 + Int64($0) * 40_000 }
    clip.put(20..<40, into: ring) { Int64($0 - 20) * 40_000 }
    let packets = try ContainerFile.packets(try file(everything(of: reader).bytes))
    let first = container == .fragmentedMP4 ? 0 : 4_500_000
    // Where nobody knows how long the last one before was shown: as long as is usual.
    let before = (0..<20).map { first + $0 * 3600 }
    let turn = first + 19 * 3600 + 3000
    let after = (0..<20).map { turn + $0 * 3600 }
    #expect(packets.map(\.pts) == before + after)
  }

  @Test func parameterSetsThatAreNoneFailTheReader() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let ring = ring(.h264)
    let reader = try reader(ring, .fragmentedMP4)
    [UInt8](repeating: 7, count: 1000).withUnsafeBytes { ring.append($0) }
    _ = ring.finish(pts: 0, picture: CodedPicture(type: .idr, isKey: true), parameterSets: nil)
    guard case .failed(let failure) = everything(of: reader).end else {
      Issue.record("garbage became a file")
      return
    }
    #expect(failure.errno == .invalidArgument)
    #expect(ring.figures.readers == 0)
  }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxMedia
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import Devices

/// Collects pictures as the graph does.
private struct Shown: FrameSink, ~Copyable {
  var times: [Int64] = []
  /// First byte of each picture when it came.
  var marks: [UInt8] = []
  var layouts: [FrameLayout] = []
  var lost: [Int64] = []
  var keeps = false
  private var kept: [Box] = []

  private final class Box {
    let frame: Frame
    init(_ frame: consuming Frame) { self.frame = frame }
  }

  mutating func picture(_ frame: consuming Frame) {
    times.append(frame.pts)
    layouts.append(frame.layout)
    marks.append(Shown.mark(frame))
    if keeps { kept.append(Box(frame)) }
  }

  mutating func lost(_ pts: Int64, _ why: Failure) { lost.append(pts) }

  private static func mark(_ frame: borrowing Frame) -> UInt8 {
    (try? frame.buffer.memory.map().load(as: UInt8.self)) ?? 0xff
  }

  func keptMarks() -> [UInt8] { kept.map { Shown.mark($0.frame) } }
  mutating func giveBack() { kept = [] }
}

/// What decoder drivers do beyond vicodec, which the guest tier has: each is one somebody met.
@Suite(.ownThread(limit: .seconds(900))) struct M2MDecoderTests {
  private static let path = "/dev/video91"

  private func decoder(
    _ device: M2MFakeDecoder, memory: BufferMemory? = nil, pictures: Int = 3, path: String = path,
    codec: Codec = .fwht
  ) throws -> V4L2Decoder {
    try V4L2Decoder(
      path,
      DecoderConfiguration(
        codec: codec, allocator: PretendingAllocator(isDMABuf: true), user: .anonymous, poolName: "vdec0",
        bufferCount: pictures), memory: memory, kernel: device)
  }

  /// Units shown in the order given, their time the place in the stream.
  private func decode(
    _ decoder: V4L2Decoder, _ orders: [UInt32], size: (UInt32, UInt32) = (640, 360), from first: Int64 = 0,
    into shown: inout Shown
  ) throws {
    for (index, order) in orders.enumerated() {
      let unit = M2MFakeDecoder.unit(size.0, size.1, order: order, isKey: index == 0)
      try unit.withUnsafeBytes { try decoder.submit($0, pts: first + Int64(index), into: &shown) }
    }
  }

  @Test(arguments: [true, false]) func picturesCarryTheTimeOfTheirUnitWhetherTheDriverKeepsItOrNot(keeps: Bool) throws {
    let decoder = try decoder(M2MFakeDecoder { $0.keepsTime = keeps })
    var shown = Shown()
    try decode(decoder, Array(0..<10), into: &shown)
    #expect(shown.times == Array(0..<10))
    #expect(shown.marks == Array(0..<10))
    #expect(decoder.counters == DecoderCounters())
  }

  @Test func picturesThatAreShownInAnotherOrderKeepTheirTimes() throws {
    let decoder = try decoder(M2MFakeDecoder { $0.reorder = 2 })
    var shown = Shown()
    let orders: [UInt32] = [0, 3, 1, 2, 6, 4, 5, 7]
    try decode(decoder, orders, into: &shown)
    #expect(shown.times.count >= 6, "two are inside: \(shown.times)")
    try decoder.drain(into: &shown)
    #expect(shown.marks == Array(0..<8))
    #expect(shown.times == [0, 2, 3, 1, 5, 6, 4, 7])
  }

  @Test func aDeviceThatReadsAUnitWithTheNextOneIsNotTakenToHang() throws {
    let decoder = try decoder(M2MFakeDecoder { $0.lookAhead = 2 })
    var shown = Shown()
    try decode(decoder, Array(0..<8), into: &shown)
    #expect(shown.times == Array(0..<6))
    try decoder.drain(into: &shown)
    #expect(shown.times == Array(0..<8))
    #expect(!decoder.isBroken)
  }

  @Test(arguments: [(true, false), (true, true), (false, false)])
  func aDrainEndsWithLastOnAPictureOnAnEmptyBufferOrOnNone(hasLast: Bool, onPicture: Bool) throws {
    let device = M2MFakeDecoder {
      $0.reorder = 2
      $0.hasLast = hasLast
      $0.lastIsPicture = onPicture
    }
    let decoder = try decoder(device)
    var shown = Shown()
    for round in 0..<3 {
      try decode(decoder, Array(0..<5), from: Int64(round) * 5, into: &shown)
      try decoder.drain(into: &shown)
    }
    #expect(shown.times == Array(0..<15))
    #expect(device.commands == [1, 0, 1, 0, 1])
  }

  @Test func aDriverWithoutCommandsIsDrainedByWaiting() throws {
    let device = M2MFakeDecoder { $0.hasCommands = false }
    let decoder = try decoder(device)
    var shown = Shown()
    for round in 0..<2 {
      try decode(decoder, Array(0..<5), from: Int64(round) * 5, into: &shown)
      try decoder.drain(into: &shown)
    }
    #expect(shown.times == Array(0..<10))
  }

  @Test func aStartThatChangesNothingIsFollowedByStoppingTheQueue() throws {
    let decoder = try decoder(M2MFakeDecoder { $0.startIsDeaf = true })
    var shown = Shown()
    for round in 0..<3 {
      try decode(decoder, Array(0..<5), from: Int64(round) * 5, into: &shown)
      try decoder.drain(into: &shown)
    }
    // The one that found it out may cost pictures, later ones do not.
    #expect(shown.times.prefix(5) == [0, 1, 2, 3, 4])
    #expect(shown.times.suffix(5) == [10, 11, 12, 13, 14])
  }

  @Test func drainingBeforeAnythingWasFedDoesNothing() throws {
    let decoder = try decoder(M2MFakeDecoder())
    var shown = Shown()
    try decoder.drain(into: &shown)
    try decoder.flush()
    try decode(decoder, [0, 1], into: &shown)
    #expect(shown.times == [0, 1])
  }

  @Test(arguments: [BufferMemory.mmap, .dmabuf], [0, 2])
  func aChangeOfSizeGivesAllOldPicturesAndLeavesThoseHeldAlone(memory: BufferMemory, reorder: Int) throws {
    let device = M2MFakeDecoder { $0.reorder = reorder }
    let decoder = try decoder(device, memory: memory, pictures: 8)
    var shown = Shown()
    shown.keeps = true
    try decode(decoder, Array(0..<6), into: &shown)
    let pool = try #require(decoder.pool)
    try decode(decoder, Array(10..<16), size: (800, 480), from: 6, into: &shown)
    try decoder.drain(into: &shown)
    #expect(shown.times == Array(0..<12))
    #expect(shown.layouts.map(\.width) == Array(repeating: 640, count: 6) + Array(repeating: 800, count: 6))
    #expect(shown.keptMarks() == Array(0..<6) + Array(10..<16))
    #expect(decoder.counters.layoutChanges == 1)
    #expect(decoder.pool?.id != pool.id)
    #expect(pool.buffers.count == 6, "those that are out")
    shown.giveBack()
    #expect(pool.buffers.isEmpty)
  }

  @Test func aDriverThatFreesNothingInUseIsOpenedAnew() throws {
    let device = M2MFakeDecoder { $0.freesNothing = true }
    let decoder = try decoder(device)
    var shown = Shown()
    try decode(decoder, [0, 1], into: &shown)
    let failure = #expect(throws: Failure.self) { try decode(decoder, [2], size: (800, 480), into: &shown) }
    #expect(failure?.errno == .ioError)
    #expect(decoder.isBroken)
  }

  @Test func theVisiblePartIsShownAndTheRestIsNot() throws {
    let decoder = try decoder(M2MFakeDecoder { $0.lineBlock = 16 })
    var shown = Shown()
    try decode(decoder, [0], into: &shown)
    let layout = try #require(decoder.layout)
    #expect((layout.width, layout.height) == (640, 360))
    #expect(layout.plane0.lines == 360 && layout.plane1.lines == 180)
    #expect(layout.plane1.offset == 640 * 368, "chroma lies behind what was coded")
    let other = try self.decoder(
      M2MFakeDecoder {
        $0.lineBlock = 16
        $0.composeErrno = ENOTTY
      })
    try decode(other, [0], into: &shown)
    #expect(other.layout?.height == 368)
    #expect(other.remarks.contains { $0.hasPrefix("the device does not tell the visible part") })
  }

  @Test func asManyPicturesAreMadeAsTheDeviceAndTheGraphNeed() throws {
    let device = M2MFakeDecoder { $0.needed = 6 }
    let decoder = try decoder(device, pictures: 5)
    var shown = Shown()
    try decode(decoder, [0], into: &shown)
    #expect(device.pictureCount == 11)
    #expect(decoder.remarks == [])
    #expect(device.exports == 11, "each once")
    try decode(decoder, Array(1..<30), into: &shown)
    #expect(device.exports == 11)
    let silent = M2MFakeDecoder()
    let other = try self.decoder(silent, pictures: 5)
    try decode(other, [0], into: &shown)
    #expect(silent.pictureCount == 9)
    #expect(other.remarks == ["the device does not tell how many pictures it needs: 4 are assumed"])
  }

  @Test func moreReferencesAtTheSameSizeLeaveTheGraphItsPictures() throws {
    let device = M2MFakeDecoder { $0.needed = 4 }
    let decoder = try decoder(device)
    var shown = Shown()
    try decode(decoder, [0, 1], into: &shown)
    #expect(device.pictureCount == 7)
    device.change { ($0.needed, $0.changesReferences) = (7, true) }
    try decode(decoder, [2, 3, 4], from: 2, into: &shown)
    #expect(device.pictureCount == 10)
    #expect(shown.times == Array(0..<5))
    #expect(decoder.counters == DecoderCounters(), "the layout is the same")
    // Fewer than that: those there are do.
    device.change { ($0.needed, $0.changesReferences) = (2, true) }
    try decode(decoder, [5, 6], from: 5, into: &shown)
    #expect(device.pictureCount == 10 && device.exports == 17)
    #expect(shown.times == Array(0..<7))
  }

  @Test func aDriverThatGivesFewerPicturesThanAskedForIsNotAskedAgain() throws {
    let device = M2MFakeDecoder { ($0.needed, $0.most) = (4, 5) }
    let decoder = try decoder(device)
    var shown = Shown()
    try decode(decoder, [0, 1], into: &shown)
    #expect(device.pictureCount == 5)
    device.change { $0.changesReferences = true }
    try decode(decoder, [2, 3], from: 2, into: &shown)
    #expect(device.exports == 5)
    #expect(shown.times == Array(0..<4))
  }

  @Test func aDrainThatIsSaidToEndWithUnitsUnreadIsAHang() throws {
    let device = M2MFakeDecoder()
    let decoder = try decoder(device, path: "/dev/video94")
    var shown = Shown()
    try decode(decoder, [0, 1], into: &shown)
    device.change { $0.readsNothing = true }
    try decode(decoder, [2], from: 2, into: &shown)
    let failure = #expect(throws: Failure.self) { try decoder.drain(into: &shown) }
    #expect(failure?.errno == .timedOut)
    #expect(decoder.isBroken)
    #expect(device.commands.count < 200, "it waits between two commands")
    #expect(comesBack("/dev/video94"))
  }

  @Test func framesThatAreNotShownAreNotWaitedForAndNotTakenForDamaged() throws {
    let device = M2MFakeDecoder { $0.isVP8 = true }
    let decoder = try decoder(device, codec: .vp8)
    var shown = Shown()
    func feed(_ order: UInt32, isShown: Bool) throws {
      let unit = M2MFakeDecoder.vp8Unit(640, 360, order: order, isKey: order == 0, isShown: isShown)
      try unit.withUnsafeBytes { try decoder.submit($0, pts: Int64(order), into: &shown) }
    }
    for order in UInt32(0)..<120 { try feed(order, isShown: order % 3 != 1) }
    #expect(shown.times == (0..<120).filter { $0 % 3 != 1 })
    #expect(decoder.counters == DecoderCounters())
  }

  @Test func aDriverThatKeepsNoTimesGivesNoPictureTheTimeOfAFrameNotShown() throws {
    var units = UnitsInside()
    let first = units.enter(pts: 1, givesPicture: false)
    let second = units.enter(pts: 2, givesPicture: true)
    #expect(units.due == 1)
    #expect(units.takeFirst() == 2)
    #expect(units.due == 0 && units.takeFirst() == nil)
    // One that puts its time on a picture all the same is believed.
    #expect(units.take(first.cookie) == 1)
    #expect(units.take(second.cookie) == nil)
    // Each kind has its own bound, and only pictures are lost.
    for pts in 0..<Int64(200) {
      let entry = units.enter(pts: pts, givesPicture: false)
      #expect(!entry.lost)
    }
    let lost = (0..<Int64(200)).filter { units.enter(pts: $0, givesPicture: true).lost }
    #expect(lost.count == 200 - UnitsInside.most - 1)
    #expect(units.takeFirst() == Int64(lost.count))
  }

  @Test func anImportedPictureKeepsToItsIndex() throws {
    let device = M2MFakeDecoder()
    let decoder = try decoder(device, memory: .dmabuf)
    var shown = Shown()
    try decode(decoder, Array(0..<40), into: &shown)
    #expect(shown.marks == Array(0..<40))
    #expect(device.imports.allSatisfy { $0 == 1 })
    #expect(decoder.memoryKind == "v4l2:dmabuf:pretended")
  }

  @Test func whatTheDriverDoesNotTakeFallsBackToItsOwnMemoryAndTheOtherWayRound() throws {
    let importing = try decoder(M2MFakeDecoder { $0.importErrno = EINVAL }, memory: .dmabuf)
    var shown = Shown()
    try decode(importing, [0, 1], into: &shown)
    #expect(importing.memoryKind == "v4l2:mmap")
    #expect(importing.remarks.contains { $0.hasPrefix("pictures lie in v4l2:mmap") })
    let exporting = try decoder(M2MFakeDecoder { $0.exportErrno = ENOTTY })
    try decode(exporting, [0, 1], into: &shown)
    #expect(exporting.memoryKind == "v4l2:dmabuf:pretended")
    #expect(shown.times == [0, 1, 0, 1])
    let neither = try decoder(
      M2MFakeDecoder {
        $0.exportErrno = ENOTTY
        $0.importErrno = EINVAL
      })
    #expect(throws: Failure.self) { try decode(neither, [0], into: &shown) }
  }

  @Test func aFormatTheRuntimeDoesNotKnowIsExchangedForOneItDoes() throws {
    // Tiled first, as codecs have it.
    let tiled = UInt32(0x3132_4d4d)
    let decoder = try decoder(M2MFakeDecoder { $0.raw = [tiled, mpifs_V4L2_PIX_FMT_YUV420, mpifs_V4L2_PIX_FMT_NV12] })
    var shown = Shown()
    try decode(decoder, [0], into: &shown)
    #expect(decoder.layout?.format == .nv12)
  }

  /// bcm2835-codec tells nothing; others cannot be asked.
  @Test(arguments: [("bcm2835-codec", true, true), ("other", true, true), ("other", false, false)])
  func aDriverThatSaysNothingOfTheHeaderGetsTheSizeOfTheStream(driver: String, events: Bool, isSilent: Bool) throws {
    let device = M2MFakeDecoder {
      $0.driver = driver
      $0.hasEvents = events
      $0.isSilent = isSilent
    }
    let decoder = try decoder(device)
    var shown = Shown()
    try decode(decoder, Array(0..<6), into: &shown)
    #expect(shown.times == Array(0..<6))
    #expect(decoder.layout?.width == 640 && decoder.layout?.height == 360)
    #expect(decoder.remarks.contains { $0.hasSuffix("the stream's 640x360 is assumed") })
    #expect(device.unitFormats == [[640, 360]])
    try decoder.drain(into: &shown)
    try decode(decoder, Array(0..<6), from: 10, into: &shown)
    #expect(shown.times.count == 12)
    #expect(device.opened == (driver == "bcm2835-codec" ? 2 : 1), "its second drain would lose pictures")
  }

  @Test func aSeekShowsNothingOfBeforeIt() throws {
    let decoder = try decoder(M2MFakeDecoder { $0.reorder = 3 })
    var shown = Shown()
    try decode(decoder, Array(0..<5), into: &shown)
    let before = shown.times.count
    try decoder.flush()
    try decode(decoder, Array(20..<26), from: 100, into: &shown)
    try decoder.drain(into: &shown)
    #expect(Array(shown.times[before...]) == Array(100..<106))
  }

  @Test func aUnitThatIsLargerThanAllBeforeGetsLargerBuffers() throws {
    let device = M2MFakeDecoder { $0.unitSize = 4 << 20 }
    let decoder = try decoder(device)
    var shown = Shown()
    try decode(decoder, [0, 1], into: &shown)
    let large = M2MFakeDecoder.unit(640, 360, order: 2, isKey: true, size: 3 << 20)
    try large.withUnsafeBytes { try decoder.submit($0, pts: 2, into: &shown) }
    #expect(shown.times == [0, 1, 2])
    #expect(device.opened == 2)
    let huge = M2MFakeDecoder.unit(640, 360, order: 3, isKey: true, size: 5 << 20)
    let failure = #expect(throws: Failure.self) {
      try huge.withUnsafeBytes { try decoder.submit($0, pts: 3, into: &shown) }
    }
    #expect(failure?.errno == .messageTooLong)
  }

  @Test func damagedUnitsAndPicturesAreCountedAndNotShown() throws {
    let decoder = try decoder(M2MFakeDecoder { $0.damages = [2] })
    var shown = Shown()
    try decode(decoder, [0, 1, 2], into: &shown)
    let junk = [UInt8](repeating: 7, count: 100)
    try junk.withUnsafeBytes { try decoder.submit($0, pts: 3, into: &shown) }
    #expect(shown.lost == [2, 3])
    try decode(decoder, [4, 5], from: 4, into: &shown)
    #expect(shown.times == [0, 1, 4, 5])
    #expect(decoder.counters.damaged == 2)
    #expect(!decoder.isBroken)
  }

  @Test func picturesTheGraphKeepsAreWaitedForAndToldButBreakNothing() throws {
    let decoder = try decoder(M2MFakeDecoder { $0.needed = 1 }, pictures: 2)
    var shown = Shown()
    shown.keeps = true
    let failure = #expect(throws: Failure.self) { try decode(decoder, Array(0..<10), into: &shown) }
    #expect(failure?.errno == .timedOut)
    #expect(!decoder.isBroken)
    #expect(shown.times == [0, 1, 2])
    shown.giveBack()
    shown.keeps = false
    try decode(decoder, Array(20..<24), from: 20, into: &shown)
    #expect(Array(shown.times.suffix(4)) == [20, 21, 22, 23])
  }

  @Test func aDeviceThatHangsIsLeftBehindAndBlocksOnlyItself() throws {
    let device = M2MFakeDecoder()
    let decoder = try decoder(device, path: "/dev/video92")
    var shown = Shown()
    try decode(decoder, [0, 1], into: &shown)
    device.change { $0.hangs = true }
    let failure = #expect(throws: Failure.self) { try decode(decoder, Array(2..<12), into: &shown) }
    #expect(failure?.errno == .timedOut)
    #expect(decoder.isBroken)
    #expect(throws: Failure.self) { try self.decoder(M2MFakeDecoder(), path: "/dev/video92") }
    _ = try self.decoder(M2MFakeDecoder(), path: "/dev/video93")
    device.change { $0.hangs = false }
    #expect(comesBack("/dev/video92"))
    _ = try self.decoder(M2MFakeDecoder(), path: "/dev/video92")
  }

  @Test func aDecoderToldToStopDoesNotWaitForPictures() throws {
    let decoder = try decoder(M2MFakeDecoder { $0.needed = 1 }, pictures: 1)
    var shown = Shown()
    shown.keeps = true
    try decode(decoder, [0, 1], into: &shown)
    decoder.interrupt()
    let failure = #expect(throws: Failure.self) { try decode(decoder, [2], into: &shown) }
    #expect(failure?.errno == .canceled)
    #expect(!decoder.isBroken)
  }
}

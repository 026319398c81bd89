// SPDX-License-Identifier: Apache-2.0
import LinuxMedia
import MediaCore
import TestSupport
import Testing

@testable import Devices

@Suite(.ownThread) struct SequenceTrackerTests {
  @Test func aGapIsWhatIsMissingBetweenTwoFrames() {
    var tracker = SequenceTracker()
    #expect([0, 1, 2, 5, 6].map { tracker.advance(to: $0) } == [0, 0, 0, 2, 0])
    #expect(tracker.extended == 6)
  }

  @Test func countingGoesOnOverTheWrap() {
    var tracker = SequenceTracker()
    #expect([.max - 1, .max, 1, 2].map { tracker.advance(to: $0) } == [0, 0, 1, 0])
    #expect(tracker.extended == 4)
  }

  @Test func aDriverThatStartsAnewOrStandsStillLosesNothing() {
    var tracker = SequenceTracker()
    #expect([100, 101, 0, 1, 1, 1].map { tracker.advance(to: $0) } == [0, 0, 0, 0, 0, 0])
    #expect(tracker.extended == 5)
  }

  @Test func aRestartIsNoGapButKeepsNumbersRising() {
    var tracker = SequenceTracker()
    #expect([7, 8].map { tracker.advance(to: $0) } == [0, 0])
    tracker.restart()
    #expect([900, 902].map { tracker.advance(to: $0) } == [0, 1])
    #expect(tracker.extended == 4)
  }
}

@Suite(.ownThread) struct StampKeeperTests {
  private let now: Int64 = 50_000_000_000

  @Test func aDriversMonotonicStampIsKept() {
    var keeper = StampKeeper()
    let stamp = keeper.stamp(seconds: 49, microseconds: 990_000, monotonic: true, now: now)
    #expect(stamp == (49_990_000, 49_990_000_000))
    #expect(keeper.replaced == 0)
  }

  @Test func stampsOfAnotherClockAreReplacedByTheArrival() {
    var keeper = StampKeeper()
    #expect(keeper.stamp(seconds: 1_700_000_000, microseconds: 0, monotonic: false, now: now).pts == 50_000_000)
    #expect(keeper.replaced == 0)
  }

  @Test(
    arguments: [(60, 0), (1, 0), (-1, 0), (.max, 999_999), (.min, 0), (0, 0)] as [(Int64, Int64)])
  func stampsThatCannotBeAreReplacedAndCounted(seconds: Int64, microseconds: Int64) {
    var keeper = StampKeeper()
    let stamp = keeper.stamp(seconds: seconds, microseconds: microseconds, monotonic: true, now: now)
    #expect(stamp == (50_000_000, now))
    #expect(keeper.replaced == 1)
  }

  @Test func presentationTimesRiseEvenWhenStampsDoNot() {
    var keeper = StampKeeper()
    let first = keeper.stamp(seconds: 49, microseconds: 5, monotonic: true, now: now)
    let second = keeper.stamp(seconds: 49, microseconds: 5, monotonic: true, now: now)
    let third = keeper.stamp(seconds: 48, microseconds: 0, monotonic: true, now: now)
    #expect([first.pts, second.pts, third.pts] == [49_000_005, 49_000_006, 49_000_007])
  }
}

@Suite(.ownThread) struct CaptureFormatsTests {
  /// - Parameter fastest: most frames a second at the wanted size; `nil`: the driver does not tell.
  private func offer(_ fourcc: FourCC, size: Bool = true, fastest: Double? = nil) -> OfferedFormat {
    let format = CaptureFormats.pixelFormat(of: fourcc) ?? PixelFormat(rawValue: fourcc.rawValue)
    return OfferedFormat(
      fourcc: fourcc, pixelFormat: format,
      isConverted: format == .mjpeg || !CaptureFormats.preference.contains(format), hasSize: size, fastest: fastest)
  }

  private func choose(_ offered: [OfferedFormat], _ wanted: PixelFormat) -> (fourcc: FourCC?, why: String?) {
    let request = SourceRequest(
      width: 1920, height: 1080, format: wanted, frameRate: .thirty, allocator: MemfdAllocator(), user: .anonymous,
      poolName: "vi0", bufferCount: 3)
    let choice = CaptureFormats.choose(offered, wanted: wanted, request: request)
    return (choice?.format.fourcc, choice?.why)
  }

  private static let rggb = FourCC(rawValue: PixelFormat("RGGB").rawValue)

  @Test func theWantedFormatIsTakenWhenItCanDoTheJob() {
    #expect(choose([offer(.nv12), offer(.yuyv), offer(.nv16)], .nv16) == (.nv16, nil))
  }

  @Test func withoutItTheOneThatNeedsLeastWork() {
    #expect(choose([offer(.mjpeg), offer(.rgb24), offer(.yuyv), offer(.yuv420)], .nv12) == (.yuv420, nil))
    #expect(choose([offer(Self.rggb), offer(.mjpeg)], .nv12) == (.mjpeg, nil))
    #expect(choose([offer(Self.rggb)], .nv12) == (Self.rggb, nil))
  }

  // The ordinary USB camera: raw up to some size and rate, MJPEG above.
  @Test func aSlowRawFormatLosesToACompressedOneThatReachesTheRate() {
    #expect(
      choose([offer(.yuyv, fastest: 5), offer(.mjpeg, fastest: 30)], .yuyv)
        == (.mjpeg, "yuyv gives at most 5 frames/s at 1920x1080, mjpeg 30"))
    #expect(
      choose([offer(.yuyv, size: false), offer(.mjpeg, fastest: 60)], .yuyv)
        == (.mjpeg, "yuyv is not offered at 1920x1080, mjpeg 60"))
    // 29.97 does for 30.
    #expect(choose([offer(.yuyv, fastest: 30000 / 1001.0), offer(.mjpeg, fastest: 60)], .yuyv) == (.yuyv, nil))
  }

  @Test func whenNoneReachesTheRateTheFastestIsTaken() {
    #expect(
      choose([offer(.yuyv, fastest: 7.5), offer(.mjpeg, fastest: 15)], .yuyv)
        == (.mjpeg, "yuyv gives at most 7.50 frames/s at 1920x1080, mjpeg 15"))
    #expect(choose([offer(.yuyv, fastest: 5)], .yuyv) == (.yuyv, nil))
    #expect(choose([offer(.yuyv, fastest: 5), offer(.mjpeg, fastest: 5)], .yuyv) == (.yuyv, nil))
  }

  @Test func nothingThatCanBeUsedIsNothing() {
    #expect(choose([], .nv12) == (nil, nil))
  }

  private func format(_ fourcc: FourCC, _ width: Int, _ height: Int, _ planes: [(Int, Int)]) -> VideoFormat {
    VideoFormat(
      type: .captureMultiplanar, fourcc: fourcc, width: width, height: height,
      planes: planes.map { .init(bytesPerLine: $0.0, size: $0.1) })
  }

  /// One that gives no colours is taken where there is no other.
  @Test func greyComesLast() {
    #expect(choose([offer(.grey), offer(.mjpeg)], .nv12) == (.mjpeg, nil))
    #expect(choose([offer(.grey), offer(.bgr24)], .nv12) == (.bgr24, nil))
    #expect(choose([offer(.grey)], .nv12) == (.grey, nil))
  }

  /// The kernel's codes: what V4L2 calls RGBX32 is DRM's XBGR8888, and has DRM's four characters.
  @Test(arguments: [
    (FourCC.rgb24, "RGB3", PixelFormat.rgb24, 3), (.bgr24, "BGR3", .bgr24, 3), (.xbgr32, "XR24", .xrgb8888, 4),
    (.rgbx32, "XB24", .xbgr8888, 4), (.grey, "GREY", .grey, 1),
  ])
  func formatsHaveTheKernelsCodes(_ fourcc: FourCC, _ code: String, _ pixels: PixelFormat, _ bytes: Int) throws {
    #expect(fourcc.description == code && pixels.rawValue == fourcc.rawValue)
    #expect(CaptureFormats.pixelFormat(of: fourcc) == pixels)
    let layout = try #require(CaptureFormats.layout(of: format(fourcc, 64, 48, [(64 * bytes, 64 * bytes * 48)])))
    #expect(layout.format == pixels && layout.plane0.lines == 48 && layout.planeCount == 1)
    #expect(CaptureFormats.layout(of: format(fourcc, 64, 48, [(64 * bytes - 1, 64 * bytes * 48)])) == nil)
  }

  @Test func planesOfOneMemoryFollowEachOther() throws {
    let nv12 = try #require(CaptureFormats.layout(of: format(.nv12, 640, 360, [(704, 704 * 540)])))
    #expect(nv12.plane0 == Plane(offset: 0, stride: 704, lines: 360))
    #expect(nv12.plane1 == Plane(offset: 704 * 360, stride: 704, lines: 180))
    #expect(nv12.planeCount == 2)
    let p010 = try #require(CaptureFormats.layout(of: format(.p010, 640, 360, [(1280, 1280 * 540)])))
    #expect(p010.format == .p010 && p010.plane1 == Plane(offset: 1280 * 360, stride: 1280, lines: 180))
    let i420 = try #require(CaptureFormats.layout(of: format(.yuv420, 640, 360, [(640, 345600)])))
    #expect(i420.plane1 == Plane(offset: 230400, stride: 320, lines: 180))
    #expect(i420.plane2 == Plane(offset: 288000, stride: 320, lines: 180))
    #expect(CaptureFormats.fits(i420, [345600]))
    #expect(!CaptureFormats.fits(i420, [345599]))
  }

  @Test func planesOfTheirOwnMemoriesStartAtZero() throws {
    let layout = try #require(CaptureFormats.layout(of: format(.nv12M, 640, 360, [(640, 230400), (640, 115200)])))
    #expect(layout.plane0 == Plane(memory: 0, offset: 0, stride: 640, lines: 360))
    #expect(layout.plane1 == Plane(memory: 1, offset: 0, stride: 640, lines: 180))
    #expect(CaptureFormats.fits(layout, [230400, 115200]))
    #expect(!CaptureFormats.fits(layout, [345600]))
  }

  @Test(arguments: [
    (FourCC.nv12, 640, 360, 600), (.yuyv, 640, 360, 640), (.p010, 640, 360, 640), (.nv12, 0, 360, 640),
    (.nv12, 640, 360, Int(UInt32.max)), (.nv12, 70000, 360, 70000),
  ])
  func driversThatLieAboutTheirFormatAreNotBelieved(fourcc: FourCC, width: Int, height: Int, stride: Int) {
    #expect(CaptureFormats.layout(of: format(fourcc, width, height, [(stride, 1 << 24)])) == nil)
  }
}

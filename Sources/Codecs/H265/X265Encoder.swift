// SPDX-License-Identifier: Apache-2.0
#if X265
  import Base
  import CX265
  import MediaCore
  import Synchronization

  /// The library fills its tables of functions when the first encoder is opened, without a lock of its own
  /// (`x265_setup_primitives`).
  private let opening = Mutex<Void>(())

  /// Owner of one encoder of the library, its settings and its pictures.
  private struct X265Handle: ~Copyable {
    let encoder: OpaquePointer
    let parameters: UnsafeMutablePointer<x265_param>
    let input: UnsafeMutablePointer<x265_picture>
    let output: UnsafeMutablePointer<x265_picture>
    /// Of the thread that codes its pictures.
    let threads: LibraryThreads

    init(_ fill: (UnsafeMutablePointer<x265_param>) -> Bool) throws(Failure) {
      guard let parameters = x265_param_alloc() else { throw Failure(.noMemory, "x265_param_alloc", on: "x265") }
      guard let input = x265_picture_alloc(), let output = x265_picture_alloc() else {
        x265_param_free(parameters)
        throw Failure(.noMemory, "x265_picture_alloc", on: "x265")
      }
      var opened: OpaquePointer?
      var threads = LibraryThreads()
      if fill(parameters) {
        threads = LibraryThreads.made(by: "x265") {
          opening.withLock { _ in opened = mpifs_x265_open(parameters) }
        }
      }
      guard let opened else {
        x265_picture_free(input)
        x265_picture_free(output)
        x265_param_free(parameters)
        throw Failure(.invalidArgument, "x265_encoder_open", on: "x265", "the library refused these settings")
      }
      encoder = opened
      self.parameters = parameters
      self.input = input
      self.output = output
      self.threads = threads
    }

    deinit {
      x265_encoder_close(encoder)
      x265_picture_free(input)
      x265_picture_free(output)
      x265_param_free(parameters)
    }
  }

  /// One H.265 channel of x265: preset superfast, tuned for no delay.
  ///
  /// Without look-ahead, B pictures and frame threads the library codes a picture within the call, on one thread of its own.
  /// The rate is the runtime's to hold, by the QP of each picture: the library runs in the mode called constant quantiser, in
  /// which it uses the one it is told (`forceqp`) for every block. Its own rate control could not be changed while it runs:
  /// `x265_encoder_reconfig` of 3.5 takes a new bitrate and does nothing with it, since it puts the new settings elsewhere
  /// than the rate control looks (`Encoder::configure` sets `m_param`, `RateControl::m_param` stays). Picture types are decided
  /// outside: its key interval is infinite, scene-cut detection off, and random access pictures are IDR, not CRA.
  ///
  /// Owns the library's encoder. Serial use by the session that owns it.
  final class X265Encoder: Encoder, @unchecked Sendable {
    static let abilities: EncoderCapabilities = [.forceType, .perFrameQP, .heldByQP]
    /// `auto` of the quantisers means the library's usual quality (`crf`), and its usual ratio for key pictures (1.4).
    static let settings = EngineSettings(
      [
        EngineSetting(.profile), EngineSetting(.gop, live: true), EngineSetting(.bitrate, live: true, 1...1_000_000),
        EngineSetting(.codedRate, live: true),
        EngineSetting(.keyQP, live: true, H264Limits.quantisers, usual: 25),
        EngineSetting(.predictedQP, live: true, H264Limits.quantisers, usual: 28),
        EngineSetting(.deblocking, live: false), EngineSetting(.deblockingBeta, live: false),
        EngineSetting(.chromaQPOffset, live: false), EngineSetting(.deblockingTc, live: false),
        EngineSetting(.sampleAdaptiveOffset, live: false), EngineSetting(.intraSmoothing, live: false),
      ] + H264Limits.bounds(live: true) + EngineSettings.heldByQP + EngineSettings.liveMode + EngineSettings.takenBack
        + EngineSettings.regions,
      lacking: obstacles)

    private static let obstacles: [String: String] = [
      SettingKey<String>.entropy.name: "H.265 has CABAC alone",
      SettingKey<Int>.transform8x8.name: "H.265 chooses transforms of 4x4 to 32x32 block by block",
      SettingKey<Int>.deblockingAlpha.name: "H.265's filter has deblocking_tc in its place",
      SettingKey<String>.sliceMode.name: "it cuts pictures only with several threads and a picture's delay",
      SettingKey<Int>.sliceSize.name: "it cuts pictures only with several threads and a picture's delay",
      SettingKey<String>.intraRefresh.name:
        "what it has refreshed is predicted from what it has not, so pictures never become whole",
      SettingKey<String>.gopMode.name: "it keeps no long-term reference",
    ]

    let engine: String
    let inputFormats: [PixelFormat] = [.i420]
    var capabilities: EncoderCapabilities { X265Encoder.abilities }
    /// The library gives up for good.
    private(set) var isBroken = false

    private let handle: X265Handle
    private var configuration: EncoderConfiguration
    private var orders: PictureOrders

    /// - Parameter adjust: changes the library's settings before it is opened; for tests.
    init(
      _ configuration: EncoderConfiguration, adjust: (inout x265_param) -> Void = { _ in }
    ) throws(Failure) {
      self.configuration = configuration
      orders = PictureOrders(configuration, obeyed: Self.settings)
      // "3.5+1-f0c1022b6"
      let version = String(cString: mpifs_x265_version())
      engine = "x265 \(version.prefix { $0 != "+" })"
      handle = try X265Handle {
        let isValid = X265Encoder.fill($0, configuration)
        adjust(&$0.pointee)
        return isValid
      }
    }

    private static func fill(_ all: UnsafeMutablePointer<x265_param>, _ c: EncoderConfiguration) -> Bool {
      guard x265_param_default_preset(all, "superfast", "zerolatency") == 0,
        mpifs_x265_set_pool(all, CInt(clamping: c.threads)) == 0
      else { return false }
      let p = all
      p.pointee.sourceWidth = CInt(c.width)
      p.pointee.sourceHeight = CInt(c.height)
      p.pointee.internalCsp = X265_CSP_I420
      p.pointee.fpsNum = UInt32(c.frameRate.numerator)
      p.pointee.fpsDenom = UInt32(c.frameRate.denominator)
      p.pointee.maxCUSize = UInt32(X265Limits.block(width: c.width, height: c.height))
      p.pointee.frameNumThreads = 1
      p.pointee.bEnableWavefront = c.threads > 1 ? 1 : 0
      p.pointee.keyframeMax = -1
      p.pointee.bOpenGOP = 0
      p.pointee.scenecutThreshold = 0
      p.pointee.bIntraRefresh = 0
      p.pointee.bRepeatHeaders = 1
      p.pointee.bAnnexB = 1
      p.pointee.bEnableAccessUnitDelimiters = 0
      // Its settings as text, two kilobytes with every key picture.
      p.pointee.bEmitInfoSEI = 0
      p.pointee.logLevel = X265_LOG_NONE
      p.pointee.bEnableLoopFilter = c.deblocks ? 1 : 0
      p.pointee.deblockingFilterBetaOffset = CInt(c.settings[.deblockingBeta] ?? 0)
      p.pointee.deblockingFilterTCOffset = CInt(c.settings[.deblockingTc] ?? 0)
      if let offset = c.settings[.sampleAdaptiveOffset] { p.pointee.bEnableSAO = CInt(offset) }
      if let smoothing = c.settings[.intraSmoothing] { p.pointee.bEnableStrongIntraSmoothing = CInt(smoothing) }
      p.pointee.cbQpOffset = CInt(c.settings[.chromaQPOffset] ?? 0)
      p.pointee.crQpOffset = p.pointee.cbQpOffset
      if c.regions.isEmpty {
        p.pointee.rc.rateControlMode = CInt(X265_RC_CQP.rawValue)
      } else {
        takeOffsets(p)
      }
      // For pictures without one of their own.
      p.pointee.rc.qp = CInt(settings[.predictedQP]?.usual ?? 28)
      // Its own bound, 69, is beyond what a stream can say.
      p.pointee.rc.qpMax = CInt(H264Limits.quantisers.upperBound)
      return x265_param_apply_profile(all, c.profile.isEmpty ? "main" : c.profile) == 0
    }

    /// The mode called constant quantiser has none but the picture's. In the one called constant rate factor, blocks have offsets,
    /// and where the quantiser comes with each picture nothing else of it is left. Adaptive quantisation has to be on for that;
    /// with next to no strength it adds nothing itself.
    private static func takeOffsets(_ p: UnsafeMutablePointer<x265_param>) {
      p.pointee.rc.rateControlMode = CInt(X265_RC_CRF.rawValue)
      p.pointee.rc.aqMode = CInt(X265_AQ_VARIANCE)
      p.pointee.rc.aqStrength = 1e-5
      p.pointee.rc.cuTree = 0
      p.pointee.rc.qgSize = UInt32(QuantiserMap.side)
    }

    func submit<Sink: PacketSink & ~Copyable>(
      _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
    ) throws(Failure) {
      try configuration.check(frame.layout, as: .i420, "x265_encoder_encode", on: "x265")
      let picture = handle.input
      x265_picture_init(handle.parameters, picture)
      let order = orders.next(directive)
      picture.pointee.sliceType = order.isKey ? X265_TYPE_IDR : X265_TYPE_AUTO
      picture.pointee.forceqp = order.quantiserPlusOne
      picture.pointee.pts = order.number
      picture.pointee.quantOffsets = order.offsets
      let pixels = try frame.beginPixels(write: false)
      picture.pointee.planes.0 = UnsafeMutableRawPointer(pixels.plane0.base)
      picture.pointee.planes.1 = UnsafeMutableRawPointer(pixels.plane1.base)
      picture.pointee.planes.2 = UnsafeMutableRawPointer(pixels.plane2.base)
      picture.pointee.stride.0 = pixels.plane0.stride
      picture.pointee.stride.1 = pixels.plane1.stride
      picture.pointee.stride.2 = pixels.plane2.stride
      let result = emit(picture, pts: frame.pts, into: &sink)
      try frame.endPixels(write: false)
      guard result >= 0 else {
        isBroken = true
        throw Failure(.ioError, "x265_encoder_encode", on: "x265", "code \(result)")
      }
    }

    private func emit<Sink: PacketSink & ~Copyable>(
      _ picture: UnsafeMutablePointer<x265_picture>, pts: Int64, into sink: inout Sink
    ) -> CInt {
      var units: UnsafeMutablePointer<x265_nal>?
      var count: UInt32 = 0
      let result = x265_encoder_encode(handle.encoder, &units, &count, picture, handle.output)
      guard result > 0, count > 0, let units else { return result }
      // The library lays all units of a picture out one after the other.
      let size = UnsafeBufferPointer(start: units, count: Int(count)).reduce(0) { $0 + Int($1.sizeBytes) }
      sink.append(UnsafeRawBufferPointer(start: units.pointee.payload, count: size))
      sink.finishPicture(pts: pts)
      return result
    }

    /// QP of the last picture as the library itself counts it; for comparison with what the bitstream says.
    var lastQP: Double { handle.output.pointee.frameData.qp }

    /// Of its own.
    var threads: Int { handle.threads.count }

    var processorTime: Int64 { handle.threads.processorTime() }

    func reconfigure(_ new: EncoderConfiguration) throws(Failure) -> Bool {
      guard new.isLive(from: configuration, obeyed: Self.settings),
        new.regions.isEmpty == configuration.regions.isEmpty
      else { return false }
      configuration = new
      orders.take(new)
      return true
    }

    /// Nothing is delayed inside: zero look-ahead, no B pictures, no frame threads.
    func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
  }
#endif

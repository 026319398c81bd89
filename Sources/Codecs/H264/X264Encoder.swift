// SPDX-License-Identifier: Apache-2.0
#if X264
  import CX264
  import MediaCore

  /// Owner of one encoder of the library, its settings and its picture.
  private struct X264Handle: ~Copyable {
    let encoder: OpaquePointer
    /// What the encoder runs with; `x264_encoder_reconfig` takes the whole again.
    let parameters: UnsafeMutablePointer<x264_param_t>
    let input: UnsafeMutablePointer<x264_picture_t>
    let output: UnsafeMutablePointer<x264_picture_t>

    init(_ fill: (inout x264_param_t) -> Bool) throws(Failure) {
      let parameters = UnsafeMutablePointer<x264_param_t>.allocate(capacity: 1)
      parameters.initialize(to: x264_param_t())
      guard fill(&parameters.pointee), let encoder = mpifs_x264_open(parameters) else {
        parameters.deallocate()
        throw Failure(.invalidArgument, "x264_encoder_open", on: "x264", "the library refused these settings")
      }
      self.encoder = encoder
      self.parameters = parameters
      input = .allocate(capacity: 1)
      input.initialize(to: x264_picture_t())
      output = .allocate(capacity: 1)
      output.initialize(to: x264_picture_t())
    }

    deinit {
      x264_encoder_close(encoder)
      parameters.deallocate()
      input.deallocate()
      output.deallocate()
    }
  }

  /// One H.264 channel of x264: preset superfast, tuned for no delay.
  ///
  /// The rate is the runtime's to hold, by the QP of each picture. The library runs in the mode called constant rate factor, the only
  /// one that takes a QP with every picture and goes on spreading it over the blocks by their texture; the mode called constant quantiser
  /// clips what it is told to what it was opened with. Picture types are decided outside, as with openh264: its own key
  /// interval is infinite and scene-cut detection off. The frame rate in the headers stays that of the opening.
  ///
  /// Owns the library's encoder. Serial use by the session that owns it.
  final class X264Encoder: Encoder, @unchecked Sendable {
    static let abilities: EncoderCapabilities = [.forceType, .perFrameQP, .heldByQP, .headerHasFirstBlock]
    /// `auto` of the quantisers means the library's usual quality, and its usual ratio for key pictures. The bounds are those of
    /// every block, and read when it is opened (`x264_encoder_reconfig` does not take them over).
    static let settings = EngineSettings(
      [
        EngineSetting(.profile), EngineSetting(.gop, live: true), EngineSetting(.bitrate, live: true, 1...1_000_000),
        EngineSetting(.codedRate, live: true),
        EngineSetting(.keyQP, live: true, H264Limits.quantisers, usual: 20),
        EngineSetting(.predictedQP, live: true, H264Limits.quantisers, usual: 23),
      ] + H264Limits.bounds(live: false) + EngineSettings.heldByQP + EngineSettings.liveMode + EngineSettings.takenBack
        + X264Syntax.settings + EngineSettings.regions,
      lacking: X264Syntax.obstacles)

    let engine = "x264 \(mpifs_x264_build())"
    let inputFormats: [PixelFormat] = [.i420, .nv12]
    var capabilities: EncoderCapabilities { X264Encoder.abilities }

    private let handle: X264Handle
    private var configuration: EncoderConfiguration
    private var orders: PictureOrders
    /// How strongly it spreads quantisers by texture, where it does.
    private let spread: Float?

    /// - Parameter adjust: changes the library's settings before it is opened; for tests.
    init(
      _ configuration: EncoderConfiguration, adjust: (inout x264_param_t) -> Void = { _ in }
    ) throws(Failure) {
      self.configuration = configuration
      orders = PictureOrders(configuration, obeyed: Self.settings)
      handle = try X264Handle {
        let isValid = X264Encoder.fill(&$0, configuration)
        adjust(&$0)
        return isValid
      }
      let rate = handle.parameters.pointee.rc
      spread = rate.i_aq_mode == X264_AQ_NONE || rate.f_aq_strength <= Self.noStrength ? nil : rate.f_aq_strength
    }

    /// Adaptive quantisation that adds nothing: offsets for blocks need one, and one of strength 0 is none to the library.
    private static let noStrength: Float = 1e-5

    private static func fill(_ p: inout x264_param_t, _ c: EncoderConfiguration) -> Bool {
      guard x264_param_default_preset(&p, "superfast", "zerolatency") == 0 else { return false }
      p.i_width = CInt(c.width)
      p.i_height = CInt(c.height)
      p.i_csp = c.format == .nv12 ? CInt(X264_CSP_NV12) : CInt(X264_CSP_I420)
      p.i_fps_num = UInt32(c.frameRate.numerator)
      p.i_fps_den = UInt32(c.frameRate.denominator)
      p.i_threads = CInt(clamping: c.threads)
      p.b_sliced_threads = c.threads > 1 ? 1 : 0
      // With refreshes this is their distance, and makes no key picture.
      p.i_keyint_max = c.refreshesColumns ? CInt(clamping: c.group) : CInt(X264_KEYINT_MAX_INFINITE)
      p.i_scenecut_threshold = 0
      p.b_intra_refresh = c.refreshesColumns ? 1 : 0
      p.b_vfr_input = 0
      p.b_repeat_headers = 1
      p.b_annexb = 1
      p.b_aud = 0
      p.i_log_level = X264_LOG_NONE
      p.rc.i_rc_method = X264_RC_CRF
      // A fixed quantiser is that of every block.
      if c.rateMode == .fixqp {
        p.rc.i_aq_mode = c.regions.isEmpty ? X264_AQ_NONE : X264_AQ_VARIANCE
        p.rc.f_aq_strength = noStrength
      } else {
        let goals = RateGoals(c, obeyed: settings)
        p.rc.i_qp_min = CInt(min(goals.predicted.lowerBound, goals.key.lowerBound))
        p.rc.i_qp_max = CInt(max(goals.predicted.upperBound, goals.key.upperBound))
      }
      X264Syntax.fill(&p, c)
      let profile = c.profile.isEmpty ? "high" : c.profile
      return x264_param_apply_profile(&p, profile) == 0
    }

    func submit<Sink: PacketSink & ~Copyable>(
      _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
    ) throws(Failure) {
      try configuration.check(
        frame.layout, as: configuration.format == .nv12 ? .nv12 : .i420, "x264_encoder_encode", on: "x264")
      let pixels = try frame.beginPixels(write: false)
      let order = orders.next(directive, spread: spread.map { TextureSpread(strength: $0, of: pixels) })
      let picture = handle.input
      x264_picture_init(picture)
      picture.pointee.i_type = order.isKey ? X264_TYPE_IDR : X264_TYPE_AUTO
      picture.pointee.i_qpplus1 = order.quantiserPlusOne
      picture.pointee.i_pts = order.number
      picture.pointee.prop.quant_offsets = order.offsets
      picture.pointee.img.i_csp = handle.parameters.pointee.i_csp
      picture.pointee.img.i_plane = pixels.format == .nv12 ? 2 : 3
      picture.pointee.img.plane.0 = pixels.plane0.base
      picture.pointee.img.plane.1 = pixels.plane1.base
      picture.pointee.img.plane.2 = pixels.plane2.base
      picture.pointee.img.i_stride.0 = pixels.plane0.stride
      picture.pointee.img.i_stride.1 = pixels.plane1.stride
      picture.pointee.img.i_stride.2 = pixels.plane2.stride
      let size = emit(picture, pts: frame.pts, into: &sink)
      try frame.endPixels(write: false)
      guard size >= 0 else { throw Failure(.ioError, "x264_encoder_encode", on: "x264", "code \(size)") }
    }

    private func emit<Sink: PacketSink & ~Copyable>(
      _ picture: UnsafeMutablePointer<x264_picture_t>, pts: Int64, into sink: inout Sink
    ) -> CInt {
      var units: UnsafeMutablePointer<x264_nal_t>?
      var count: CInt = 0
      let size = x264_encoder_encode(handle.encoder, &units, &count, picture, handle.output)
      guard size > 0, count > 0, let units else { return size }
      // The library lays all units of a picture out one after the other.
      sink.append(UnsafeRawBufferPointer(start: units.pointee.p_payload, count: Int(size)))
      sink.finishPicture(pts: pts)
      return size
    }

    /// QP of the last picture as the library itself counts it; for comparison with what the bitstream says.
    var lastQP: Int { Int(handle.output.pointee.i_qpplus1) - 1 }

    func reconfigure(_ new: EncoderConfiguration) throws(Failure) -> Bool {
      // Whether it spreads the quantiser over the blocks is settled when it is opened; without a region it is opened without
      // offsets, where it needs none to spread quantisers.
      guard new.isLive(from: configuration, obeyed: Self.settings),
        (new.rateMode == .fixqp) == (configuration.rateMode == .fixqp),
        new.rateMode != .fixqp || new.regions.isEmpty == configuration.regions.isEmpty,
        // The library takes over no other distance of its refreshes.
        !new.refreshesColumns || new.group == configuration.group
      else { return false }
      configuration = new
      orders.take(new)
      return true
    }

    /// Nothing is delayed inside: zero look-ahead, no B pictures, no frame threads.
    func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
  }
#endif

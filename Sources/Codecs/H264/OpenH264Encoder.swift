// SPDX-License-Identifier: Apache-2.0
import COpenH264
import MediaCore

/// Owner of one encoder of the library and of the memory it writes its messages to.
///
/// `info` lives here rather than on the stack: it is 10 KiB and the library fills it for every picture.
private struct OpenH264Handle: ~Copyable {
  let encoder: UnsafeMutablePointer<ISVCEncoder?>
  let log: UnsafeMutablePointer<mpifs_openh264_log>
  let info: UnsafeMutablePointer<SFrameBSInfo>

  init() throws(Failure) {
    var made: UnsafeMutablePointer<ISVCEncoder?>?
    guard WelsCreateSVCEncoder(&made) == 0, let made else {
      throw Failure(.noMemory, "WelsCreateSVCEncoder", on: "openh264")
    }
    encoder = made
    log = .allocate(capacity: 1)
    log.initialize(to: mpifs_openh264_log())
    info = .allocate(capacity: 1)
    info.initialize(to: SFrameBSInfo())
    _ = mpifs_openh264_set_log(encoder, log)
  }

  deinit {
    mpifs_openh264_destroy(encoder)
    log.deallocate()
    info.deallocate()
  }

  /// The library's last complaint, then forgotten.
  func message() -> String {
    let text = withUnsafeBytes(of: &log.pointee.text) { bytes in
      String(decoding: bytes.prefix { $0 != 0 && $0 != 10 }, as: UTF8.self)
    }
    log.pointee = mpifs_openh264_log()
    return text
  }

  func set<Value: BitwiseCopyable>(_ option: ENCODER_OPTION, _ name: StaticString, _ value: Value) throws(Failure) {
    var value = value
    let result = mpifs_openh264_set(encoder, option, &value)
    guard result == 0 else {
      throw Failure(.invalidArgument, "SetOption \(name)", on: "openh264", "code \(result) \(message())")
    }
  }
}

/// One H.264 channel of openh264.
///
/// Picture types are decided outside: the library's own intra period is off and its scene-change detection too. Complexity is
/// LOW, as FFmpeg runs the library; background detection is on, as in GStreamer and by the library's default. Frames are
/// never skipped. The library's own rate control is off: it keeps the quantiser within 12...42 whatever it is told, and misses rates
/// beyond. The runtime's is in its place, by the quantiser of each picture; adaptive quantisation does nothing then.
///
/// Owns the library's encoder. Serial use by the session that owns it, as ``Encoder`` says.
final class OpenH264Encoder: Encoder, @unchecked Sendable {
  static let abilities: EncoderCapabilities = [.forceType, .perFrameQP, .heldByQP]
  /// The library has no quantisers that `auto` could mean: key pictures get three less, about the ratio x264 has.
  static let settings = EngineSettings(
    [
      EngineSetting(.profile), EngineSetting(.gop, live: true),
      EngineSetting(.bitrate, live: true, 1...OpenH264Factory.maximumBitrate), EngineSetting(.codedRate, live: true),
      EngineSetting(.keyQP, live: true, H264Limits.quantisers, usual: 23),
      EngineSetting(.predictedQP, live: true, H264Limits.quantisers, usual: 26),
    ] + H264Limits.bounds(live: true) + EngineSettings.heldByQP + EngineSettings.liveMode + EngineSettings.takenBack
      + OpenH264Syntax.settings,
    lacking: OpenH264Syntax.obstacles)

  let engine: String
  let inputFormats: [PixelFormat] = [.i420]
  var capabilities: EncoderCapabilities { OpenH264Encoder.abilities }

  private let handle: OpenH264Handle
  private var configuration: EncoderConfiguration
  /// What the library was told last, quantiser included.
  private var told = SEncParamExt()
  private var background = OpenH264Background()

  init(_ configuration: EncoderConfiguration) throws(Failure) {
    self.configuration = configuration
    handle = try OpenH264Handle()
    var version = OpenH264Version()
    WelsGetCodecVersionEx(&version)
    engine = "openh264 \(version.uMajor).\(version.uMinor).\(version.uRevision)"
    var parameters = SEncParamExt()
    guard mpifs_openh264_defaults(handle.encoder, &parameters) == 0 else {
      throw Failure(.invalidArgument, "GetDefaultParams", on: "openh264", handle.message())
    }
    Self.fill(&parameters, configuration)
    let result = mpifs_openh264_initialize(handle.encoder, &parameters)
    guard result == 0 else {
      throw Failure(.invalidArgument, "InitializeExt", on: "openh264", "code \(result) \(handle.message())")
    }
    try handle.set(ENCODER_OPTION_DATAFORMAT, "DATAFORMAT", CInt(videoFormatI420.rawValue))
    told = parameters
  }

  /// Every setting that shapes the stream, written down: the library's defaults changed between its versions.
  private static func fill(_ p: inout SEncParamExt, _ c: EncoderConfiguration) {
    let bits = bitsPerSecond(c)
    p.iUsageType = CAMERA_VIDEO_REAL_TIME
    p.iPicWidth = CInt(c.width)
    p.iPicHeight = CInt(c.height)
    p.iTargetBitrate = bits
    p.iMaxBitrate = bits
    p.iRCMode = RC_OFF_MODE
    p.fMaxFrameRate = frameRate(c)
    p.iTemporalLayerNum = 1
    p.iSpatialLayerNum = 1
    p.iComplexityMode = LOW_COMPLEXITY
    p.uiIntraPeriod = 0
    // Two long-term references, as many as the library has, and the last picture.
    p.iNumRefFrame = c.keepsBackground ? 3 : 1
    p.eSpsPpsIdStrategy = CONSTANT_ID
    p.bPrefixNalAddingCtrl = false
    p.bEnableSSEI = false
    p.bSimulcastAVC = false
    p.iPaddingFlag = 0
    p.bEnableFrameSkip = false
    p.iMaxQp = CInt(H264Limits.quantisers.upperBound)
    p.iMinQp = CInt(H264Limits.quantisers.lowerBound)
    p.uiMaxNalSize = 0
    p.bEnableLongTermReference = c.keepsBackground
    p.iLTRRefNum = c.keepsBackground ? 2 : 0
    // It marks each key picture, and after so many pictures another one: never.
    p.iLtrMarkPeriod = UInt32(CInt.max)
    p.iMultipleThreadIdc = UInt16(clamping: c.threads)
    p.bUseLoadBalancing = false
    p.bEnableDenoise = false
    p.bEnableBackgroundDetection = true
    p.bEnableAdaptiveQuant = false
    p.bEnableFrameCroppingFlag = true
    p.bEnableSceneChangeDetect = false
    p.sSpatialLayers.0.iVideoWidth = CInt(c.width)
    p.sSpatialLayers.0.iVideoHeight = CInt(c.height)
    p.sSpatialLayers.0.fFrameRate = frameRate(c)
    p.sSpatialLayers.0.iDLayerQp = CInt(c.settings[.keyQP] ?? settings[.keyQP]?.usual ?? 26)
    p.sSpatialLayers.0.iSpatialBitrate = bits
    p.sSpatialLayers.0.iMaxSpatialBitrate = bits
    p.sSpatialLayers.0.uiProfileIdc =
      switch c.profile {
      case "baseline": PRO_BASELINE
      case "main": PRO_MAIN
      default: PRO_HIGH
      }
    p.sSpatialLayers.0.uiLevelIdc = LEVEL_UNKNOWN
    OpenH264Syntax.fill(&p, c)
  }

  /// The rate the library is told: it clamps to 1...60.
  private static func frameRate(_ c: EncoderConfiguration) -> Float {
    Float(min(60, max(1, c.frameRate.framesPerSecond)))
  }

  /// The target the library is told, which it chooses the level by.
  private static func bitsPerSecond(_ c: EncoderConfiguration) -> CInt {
    let scale = Double(frameRate(c)) / c.frameRate.framesPerSecond
    return CInt(min(Double(OpenH264Factory.maximumBitrate) * 1000, max(1, Double(c.bitrate) * 1000 * scale)))
  }

  func submit<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {
    try configuration.check(frame.layout, as: .i420, "EncodeFrame", on: "openh264")
    if directive.type == .idr || directive.type == .i { _ = mpifs_openh264_force_idr(handle.encoder) }
    if let qp = directive.qp { try setQuantiser(CInt(qp)) }
    if directive.isHead {
      try handle.set(ENCODER_LTR_RECOVERY_REQUEST, "LTR_RECOVERY_REQUEST", background.request)
    }

    let pixels = try frame.beginPixels(write: false)
    var picture = SSourcePicture()
    picture.iColorFormat = CInt(videoFormatI420.rawValue)
    picture.iPicWidth = CInt(pixels.width)
    picture.iPicHeight = CInt(pixels.height)
    picture.iStride.0 = pixels.plane0.stride
    picture.iStride.1 = pixels.plane1.stride
    picture.iStride.2 = pixels.plane2.stride
    picture.pData.0 = pixels.plane0.base
    picture.pData.1 = pixels.plane1.base
    picture.pData.2 = pixels.plane2.base
    picture.uiTimeStamp = frame.pts / 1000
    let result = mpifs_openh264_encode(handle.encoder, &picture, handle.info)
    try frame.endPixels(write: false)
    guard result == 0 else {
      throw Failure(.ioError, "EncodeFrame", on: "openh264", "code \(result) \(handle.message())")
    }
    emit(pts: frame.pts, into: &sink)
  }

  /// The quantiser is a setting of the layer, told with every change; the library takes 60 us for that.
  private func setQuantiser(_ wanted: CInt) throws(Failure) {
    var parameters = told
    guard parameters.sSpatialLayers.0.iDLayerQp != wanted else { return }
    parameters.sSpatialLayers.0.iDLayerQp = wanted
    try handle.set(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, "SVC_ENCODE_PARAM_EXT", parameters)
    told = parameters
  }

  private func emit<Sink: PacketSink & ~Copyable>(pts: Int64, into sink: inout Sink) {
    let info = handle.info
    let type = info.pointee.eFrameType
    background.coded(isKey: type == videoFrameTypeIDR)
    guard type != videoFrameTypeSkip, type != videoFrameTypeInvalid, info.pointee.iLayerNum > 0 else { return }
    withUnsafeMutablePointer(to: &info.pointee.sLayerInfo) { tuple in
      let count = Int(info.pointee.iLayerNum)
      tuple.withMemoryRebound(to: SLayerBSInfo.self, capacity: count) { layers in
        for layer in UnsafeBufferPointer(start: layers, count: count) {
          guard let bytes = layer.pBsBuf, let lengths = layer.pNalLengthInByte else { continue }
          var total = 0
          for nal in 0..<Int(layer.iNalCount) { total += Int(lengths[nal]) }
          sink.append(UnsafeRawBufferPointer(start: bytes, count: total))
        }
      }
    }
    sink.finishPicture(pts: pts)
  }

  func reconfigure(_ new: EncoderConfiguration) throws(Failure) -> Bool {
    guard new.isLive(from: configuration, obeyed: Self.settings) else { return false }
    if Self.frameRate(new) != Self.frameRate(configuration) {
      try handle.set(ENCODER_OPTION_FRAME_RATE, "FRAME_RATE", Self.frameRate(new))
      told.fMaxFrameRate = Self.frameRate(new)
      told.sSpatialLayers.0.fFrameRate = Self.frameRate(new)
    }
    configuration = new
    return true
  }

  /// Nothing is ever delayed inside.
  func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
}

// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import LinuxMedia
internal import MediaCore

/// The controls of one encoder that the runtime sets, found by asking: drivers have very different ones.
///
/// Values are set on the descriptor that streams, since no other one reaches this instance.
struct EncoderControls {
  private let device: V4L2Device
  private let codec: Codec
  private let gop: ControlDescription?
  private let bitrate: ControlDescription?
  private let rateMode: ControlDescription?
  private let frameRateControl: ControlDescription?
  private let forceKey: ControlDescription?
  private let quality: ControlDescription?
  private let profile: ControlDescription?
  private let qpI: ControlDescription?
  private let qpP: ControlDescription?
  /// How the stream is made, whatever is asked of it.
  private let manner: [(ControlDescription, Int64)]
  private let live: EncoderQuirks.Live
  /// Raw buffers the device wants at least, 0 where it does not say.
  let rawBuffersNeeded: Int

  init(_ device: V4L2Device, _ codec: Codec) throws(KernelError) {
    func find(_ ids: UInt32...) throws(KernelError) -> ControlDescription? {
      for id in ids {
        if let control = try device.control(id), !control.flags.contains(.disabled), !control.flags.contains(.readOnly)
        {
          return control
        }
      }
      return nil
    }
    self.device = device
    self.codec = codec
    live = EncoderQuirks.live(device.capability.driver)
    // V4L2_CID_MIN_BUFFERS_FOR_OUTPUT
    rawBuffersNeeded = Int(try device.value(ofControl: 0x0098_0928) ?? 0)
    // bcm2835-codec refuses GOP_SIZE and takes the H.264 period instead.
    gop = try find(mpifs_V4L2_CID_MPEG_VIDEO_GOP_SIZE, mpifs_V4L2_CID_MPEG_VIDEO_H264_I_PERIOD)
    bitrate = try find(mpifs_V4L2_CID_MPEG_VIDEO_BITRATE)
    rateMode = try find(mpifs_V4L2_CID_MPEG_VIDEO_BITRATE_MODE)
    frameRateControl = try find(mpifs_V4L2_CID_MPEG_VIDEO_FRAME_RC_ENABLE)
    forceKey = try find(mpifs_V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME)
    quality = try codec == .mjpeg ? find(mpifs_V4L2_CID_JPEG_COMPRESSION_QUALITY) : nil
    profile = try codec == .h264 ? find(mpifs_V4L2_CID_MPEG_VIDEO_H264_PROFILE) : nil
    switch codec {
    case .h264:
      qpI = try find(mpifs_V4L2_CID_MPEG_VIDEO_H264_I_FRAME_QP)
      qpP = try find(mpifs_V4L2_CID_MPEG_VIDEO_H264_P_FRAME_QP)
    case .h265:
      qpI = try find(mpifs_V4L2_CID_MPEG_VIDEO_HEVC_I_FRAME_QP)
      qpP = try find(mpifs_V4L2_CID_MPEG_VIDEO_HEVC_P_FRAME_QP)
    case .fwht:
      qpI = try find(mpifs_V4L2_CID_FWHT_I_FRAME_QP)
      qpP = try find(mpifs_V4L2_CID_FWHT_P_FRAME_QP)
    case .vp8:
      qpI = try find(mpifs_V4L2_CID_MPEG_VIDEO_VPX_I_FRAME_QP)
      qpP = try find(mpifs_V4L2_CID_MPEG_VIDEO_VPX_P_FRAME_QP)
    case .mjpeg: (qpI, qpP) = (nil, nil)
    }
    // A reader may start at any key frame, so parameter sets belong to each: HEADER_MODE 1 is "with the first frame".
    var wanted: [(ControlDescription, Int64)] = []
    if codec == .h264 || codec == .h265 {
      if let control = try find(mpifs_V4L2_CID_MPEG_VIDEO_HEADER_MODE) { wanted.append((control, 1)) }
      if let control = try find(mpifs_V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER) { wanted.append((control, 1)) }
      if let control = try find(mpifs_V4L2_CID_MPEG_VIDEO_PREPEND_SPSPPS_TO_IDR) { wanted.append((control, 1)) }
    }
    // Pictures come out in the order of their frames, and none waits for a later one.
    if let control = try find(mpifs_V4L2_CID_MPEG_VIDEO_B_FRAMES) { wanted.append((control, 0)) }
    manner = wanted
  }

  var capabilities: EncoderCapabilities {
    // A picture type can always be forced: by the control, or by starting the coded queue anew.
    var found: EncoderCapabilities = .forceType
    if bitrate == nil { found.insert(.noBitrate) }
    if bitrate != nil && live.contains(.bitrate) { found.insert(.liveBitrate) }
    if gop != nil && live.contains(.gop) { found.insert(.liveGOP) }
    if quality != nil && live.contains(.quality) { found.insert(.liveQuality) }
    if qpI != nil && qpP != nil && live.contains(.quantiser) { found.insert(.perFrameQP) }
    // A device with a rate control holds quantisers only when that can be switched off.
    if quantisers != nil && (bitrate == nil || frameRateControl != nil) {
      found.insert(.fixedQuantiser)
      if live.contains(.quantiser) { found.insert(.liveQuantiser) }
    }
    return found
  }

  /// Quantisers both kinds of picture take.
  var quantisers: ClosedRange<Int>? {
    guard let qpI, let qpP else { return nil }
    let (low, high) = (Int(max(qpI.minimum, qpP.minimum)), Int(min(qpI.maximum, qpP.maximum)))
    return low <= high ? low...high : nil
  }

  /// The device's own.
  var usualQuantisers: (key: Int, predicted: Int)? {
    guard let qpI, let qpP else { return nil }
    return (Int(qpI.defaultValue), Int(qpP.defaultValue))
  }

  /// Whether the change reaches the running stream; else the encoder must be opened anew.
  func isLive(from old: EncoderConfiguration, to new: EncoderConfiguration) -> Bool {
    (new.bitrate == old.bitrate || bitrate == nil || live.contains(.bitrate))
      && (new.gop == old.gop || gop == nil || live.contains(.gop))
      && (new.quality == old.quality || quality == nil || live.contains(.quality))
      && (new.keyQuantiser == old.keyQuantiser && new.predictedQuantiser == old.predictedQuantiser
        || live.contains(.quantiser))
  }

  /// Profiles of the runtime's names that the device offers, its own default first.
  var profiles: [String] {
    guard let profile else { return [] }
    let known = ["baseline", "main", "high"]
    let usual = profile.menu.first { $0.index == profile.defaultValue }.map { $0.name.lowercased() }
    let offered = known.filter { name in profile.menu.contains { matches($0.name, name) } }
    return offered.filter { $0 == usual } + offered.filter { $0 != usual }
  }

  var canForceKey: Bool { forceKey != nil }

  /// Everything, before streaming. What the driver made of a value is told in `remarks`.
  /// - Returns: the group length in force, `nil` when the device has none.
  func apply(_ configuration: EncoderConfiguration, _ remarks: inout [String]) throws(KernelError) -> Int? {
    for (control, value) in manner {
      do throws(KernelError) {
        try device.setValue(value, of: control)
      } catch {
        // A driver may list what it does not take in this mode; the stream comes all the same.
        guard error.errno != .deviceGone else { throw error }
        remarks.append("\(control.name) is not \(value): \(error)")
      }
    }
    if let profile, let entry = profile.menu.first(where: { matches($0.name, configuration.profile) }) {
      try device.setValue(entry.index, of: profile)
    }
    if let frameRateControl { try device.setValue(configuration.rateMode == .fixqp ? 0 : 1, of: frameRateControl) }
    // V4L2_MPEG_VIDEO_BITRATE_MODE_VBR is 0, CBR 1.
    if let rateMode { try device.setValue(configuration.rateMode == .cbr ? 1 : 0, of: rateMode) }
    try setBitrate(configuration.bitrate, &remarks)
    try setQuality(configuration.quality)
    if configuration.rateMode == .fixqp { try setQuantisers(configuration) }
    return try setGOP(configuration.gop, &remarks)
  }

  /// - Parameter kilobits: 1000 bits per second.
  func setBitrate(_ kilobits: Int, _ remarks: inout [String]) throws(KernelError) {
    guard let bitrate else { return }
    let asked = Int64(kilobits) * 1000
    let given = try device.setValue(asked, of: bitrate)
    if given != asked { remarks.append("bitrate \(kilobits) asked, the device gives \(given / 1000)") }
  }

  /// - Returns: the group length in force, `nil` when the device has no such control.
  func setGOP(_ frames: Int, _ remarks: inout [String]) throws(KernelError) -> Int? {
    guard let gop else { return nil }
    let given = try device.setValue(Int64(min(frames, Int(Int32.max))), of: gop)
    if given != Int64(frames) { remarks.append("gop \(frames) asked, the device gives \(given)") }
    return Int(given)
  }

  func setQuality(_ value: Int) throws(KernelError) {
    if let quality { try device.setValue(Int64(value), of: quality) }
  }

  /// What is left to the device goes back to its own.
  func setQuantisers(_ configuration: EncoderConfiguration) throws(KernelError) {
    for (control, value) in [(qpI, configuration.keyQuantiser), (qpP, configuration.predictedQuantiser)] {
      if let control { try device.setValue(value.map { Int64($0) } ?? control.defaultValue, of: control) }
    }
  }

  func setQP(_ value: Int) throws(KernelError) {
    for control in [qpI, qpP] {
      if let control { try device.setValue(min(max(Int64(value), control.minimum), control.maximum), of: control) }
    }
  }

  func pressForceKey() throws(KernelError) {
    if let forceKey { try device.setValue(1, of: forceKey) }
  }

  /// Menu names are "Baseline", "Constrained Baseline", "Main", "High", ...
  private func matches(_ entry: String, _ profile: String) -> Bool { entry.lowercased() == profile }
}

extension Codec {
  /// V4L2's names for it: encoders of single pictures say JPEG, those of video MJPG.
  var fourccs: [FourCC] {
    switch self {
    case .h264: [.h264]
    case .h265: [.hevc]
    case .vp8: [.vp8]
    case .mjpeg: [.jpeg, .mjpeg]
    case .fwht: [.fwht]
    }
  }

  init?(_ fourcc: FourCC) {
    switch fourcc {
    case .h264: self = .h264
    case .hevc: self = .h265
    case .mjpeg, .jpeg: self = .mjpeg
    case .fwht: self = .fwht
    case .vp8: self = .vp8
    default: return nil
    }
  }
}

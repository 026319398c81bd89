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
  /// Bounds of the QP: of predicted pictures alone where the device tells them apart.
  private let minQP: ControlDescription?
  private let maxQP: ControlDescription?
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
      minQP = try find(mpifs_V4L2_CID_MPEG_VIDEO_H264_P_FRAME_MIN_QP, mpifs_V4L2_CID_MPEG_VIDEO_H264_MIN_QP)
      maxQP = try find(mpifs_V4L2_CID_MPEG_VIDEO_H264_P_FRAME_MAX_QP, mpifs_V4L2_CID_MPEG_VIDEO_H264_MAX_QP)
    case .h265:
      qpI = try find(mpifs_V4L2_CID_MPEG_VIDEO_HEVC_I_FRAME_QP)
      qpP = try find(mpifs_V4L2_CID_MPEG_VIDEO_HEVC_P_FRAME_QP)
      minQP = try find(mpifs_V4L2_CID_MPEG_VIDEO_HEVC_P_FRAME_MIN_QP, mpifs_V4L2_CID_MPEG_VIDEO_HEVC_MIN_QP)
      maxQP = try find(mpifs_V4L2_CID_MPEG_VIDEO_HEVC_P_FRAME_MAX_QP, mpifs_V4L2_CID_MPEG_VIDEO_HEVC_MAX_QP)
    case .fwht:
      qpI = try find(mpifs_V4L2_CID_FWHT_I_FRAME_QP)
      qpP = try find(mpifs_V4L2_CID_FWHT_P_FRAME_QP)
      (minQP, maxQP) = (nil, nil)
    case .vp8:
      qpI = try find(mpifs_V4L2_CID_MPEG_VIDEO_VPX_I_FRAME_QP)
      qpP = try find(mpifs_V4L2_CID_MPEG_VIDEO_VPX_P_FRAME_QP)
      minQP = try find(mpifs_V4L2_CID_MPEG_VIDEO_VPX_MIN_QP)
      maxQP = try find(mpifs_V4L2_CID_MPEG_VIDEO_VPX_MAX_QP)
    case .mjpeg: (qpI, qpP, minQP, maxQP) = (nil, nil, nil, nil)
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
    if qpI != nil && qpP != nil && live.contains(.quantiser) { found.insert(.perFrameQP) }
    if heldRange != nil { found.insert(.heldByQP) }
    return found
  }

  /// The quantisers, or quality factors, that the runtime's rate control may give it with each picture: it has no rate control of its own and
  /// takes them while it runs. `nil` where that is not so.
  private var heldRange: ClosedRange<Int>? {
    guard bitrate == nil else { return nil }
    if codec.isEachPictureKey {
      return live.contains(.quality) ? quality.flatMap { range($0, $0) }.map { $0.clamped(to: 1...99) } : nil
    }
    guard live.contains(.quantiser), let qpI, let qpP else { return nil }
    return range(qpI, qpP)
  }

  /// What is obeyed with the runtime's rate control.
  private func held(_ range: ClosedRange<Int>) -> [EngineSetting] {
    if codec.isEachPictureKey { return EngineSettings.heldByQuality(range) }
    // Below 10 of the 51 nobody sees a difference; other scales are the device's own.
    let least = codec == .h264 || codec == .h265 ? min(range.upperBound, max(range.lowerBound, 10)) : range.lowerBound
    return [EngineSetting(.bitrate, live: true)] + EngineSettings.heldByQP
      + [(SettingKey.minQP, least), (.minKeyQP, least), (.maxQP, range.upperBound), (.maxKeyQP, range.upperBound)].map {
        key, usual in EngineSetting(key, live: true, range, usual: usual)
      }
  }

  /// The settings the device has a control for, live where its driver applies them to the running stream.
  var settings: EngineSettings {
    // Key frames can be forced, so every device keeps the distance asked: by itself, or told with the frame.
    var found = [EngineSetting(.profile), EngineSetting(.gop, live: gop == nil || live.contains(.gop))]
    if bitrate != nil { found.append(EngineSetting(.bitrate, live: live.contains(.bitrate))) }
    if quality != nil { found.append(EngineSetting(.quality, live: live.contains(.quality))) }
    // A device with a rate control holds quantisers only when that can be switched off.
    if let qpI, let qpP, let both = range(qpI, qpP), bitrate == nil || frameRateControl != nil {
      let isLive = live.contains(.quantiser)
      found.append(EngineSetting(.keyQP, live: isLive, both, usual: Int(qpI.defaultValue)))
      found.append(EngineSetting(.predictedQP, live: isLive, both, usual: Int(qpP.defaultValue)))
    }
    // What a device without a rate control does with them is nothing.
    if bitrate != nil {
      for (key, control) in [(SettingKey.minQP, minQP), (.maxQP, maxQP)] {
        guard let control, let range = range(control, control) else { continue }
        found.append(EngineSetting(key, live: live.contains(.bounds), range, usual: Int(control.defaultValue)))
      }
    }
    if let heldRange { found += held(heldRange) }
    return EngineSettings(found)
  }

  /// Values both controls take.
  private func range(_ first: ControlDescription, _ second: ControlDescription) -> ClosedRange<Int>? {
    let (low, high) = (Int(max(first.minimum, second.minimum)), Int(min(first.maximum, second.maximum)))
    return low <= high ? low...high : nil
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
    for key in [SettingKey.bitrate, .quality, .keyQP, .predictedQP] { try set(key.name, configuration, &remarks) }
    for key in [SettingKey.minQP, .maxQP] where configuration.settings[key] != nil {
      try set(key.name, configuration, &remarks)
    }
    return try setGOP(configuration.gop, &remarks)
  }

  /// Writes the control of a setting; what is left to the device goes back to its own.
  /// - Throws: EBUSY where the driver wants it before streaming.
  func set(_ key: String, _ configuration: EncoderConfiguration, _ remarks: inout [String]) throws(KernelError) {
    let asked = configuration.settings.integer(key)
    switch SettingKey<Int>(key) {
    case .bitrate: try put(bitrate, Int64(configuration.bitrate) * 1000, "bitrate", per: 1000, &remarks)
    case .quality: if let asked { try put(quality, Int64(asked), key, &remarks) }
    case .keyQP where configuration.rateMode == .fixqp: try put(qpI, asked.map { Int64($0) }, key, &remarks)
    case .predictedQP where configuration.rateMode == .fixqp: try put(qpP, asked.map { Int64($0) }, key, &remarks)
    case .minQP: try put(minQP, asked.map { Int64($0) }, key, &remarks)
    case .maxQP: try put(maxQP, asked.map { Int64($0) }, key, &remarks)
    default: break
    }
  }

  private func put(
    _ control: ControlDescription?, _ value: Int64?, _ key: String, per unit: Int64 = 1, _ remarks: inout [String]
  ) throws(KernelError) {
    guard let control else { return }
    let asked = value ?? control.defaultValue
    let given = try device.setValue(asked, of: control)
    if given != asked { remarks.append("\(key) \(asked / unit) asked, the device gives \(given / unit)") }
  }

  /// - Returns: the group length in force, `nil` when the device has no such control.
  func setGOP(_ frames: Int, _ remarks: inout [String]) throws(KernelError) -> Int? {
    guard let gop else { return nil }
    let given = try device.setValue(Int64(min(frames, Int(Int32.max))), of: gop)
    if given != Int64(frames) { remarks.append("gop \(frames) asked, the device gives \(given)") }
    return Int(given)
  }

  func setQP(_ value: Int) throws(KernelError) {
    for control in [qpI, qpP] {
      if let control { try device.setValue(min(max(Int64(value), control.minimum), control.maximum), of: control) }
    }
  }

  func setQuality(_ value: Int) throws(KernelError) {
    if let quality { try device.setValue(min(max(Int64(value), quality.minimum), quality.maximum), of: quality) }
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

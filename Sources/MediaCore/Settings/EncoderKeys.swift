// SPDX-License-Identifier: Apache-2.0

// The keys of what an encoder's engine is asked for. An engine says which of them it obeys (``EngineSettings``).
extension SettingKey where Value == Int {
  public static let gop = SettingKey("gop")
  public static let bitrate = SettingKey("bitrate")
  public static let keyQP = SettingKey("qp_i")
  public static let predictedQP = SettingKey("qp_p")
  public static let minQP = SettingKey("min_qp")
  public static let maxQP = SettingKey("max_qp")
  /// The least and the largest QP of key pictures.
  public static let minKeyQP = SettingKey("min_i_qp")
  public static let maxKeyQP = SettingKey("max_i_qp")
  /// The rate that no window goes over, with a rate that may vary.
  public static let maxBitrate = SettingKey("max_bitrate")
  /// What a scene that stands still costs at least, with a rate that saves there.
  public static let minBitrate = SettingKey("min_bitrate")
  /// QP of predicted pictures minus that of key pictures.
  public static let keyQPDelta = SettingKey("ip_qp_delta")
  /// The most steps that a key picture may be coarser than its neighbours.
  public static let breathing = SettingKey("debreath")
  /// Whether predicted pictures have layers.
  public static let hasLayers = SettingKey("hier_qp")
  /// Seconds over which the rate is held.
  public static let rateWindow = SettingKey("stat_time")
  /// The least and the largest size of key pictures over that of predicted ones.
  public static let minKeyRatio = SettingKey("min_iprop")
  public static let maxKeyRatio = SettingKey("max_iprop")
  /// The rate over which frames are left out.
  public static let lossThreshold = SettingKey("lost_threshold")
  /// The most frames that are left out one after the other.
  public static let lossGap = SettingKey("enc_gap")
  /// Bits from which a key picture, or another one, is a super frame.
  public static let superKeyBits = SettingKey("super_i_frame")
  public static let superPredictedBits = SettingKey("super_p_frame")
  /// How often a super frame is coded again.
  public static let maxReencodes = SettingKey("max_reencode_times")
  public static let quality = SettingKey("quality")
  /// The least and the largest quality factor a rate control chooses.
  public static let leastQuality = SettingKey("qfmin")
  public static let mostQuality = SettingKey("qfmax")
  /// The rate that is left after frame-rate control; an engine gets it as the rate of its frames.
  public static let codedRate = SettingKey("fps_dst")
}

extension SettingKey where Value == [Int] {
  /// Pictures of each layer, and what is taken off their QP; lowest layer first.
  public static let layerCounts = SettingKey("hier_frame_num")
  public static let layerDeltas = SettingKey("hier_qp_delta")
}

extension SettingKey where Value == String {
  public static let profile = SettingKey("profile")
  public static let rateControl = SettingKey("rc_mode")
  /// Whether frames are left out where nothing else holds the rate.
  public static let lossMode = SettingKey("lost_mode")
  /// What becomes of super frames.
  public static let superFrameMode = SettingKey("super_frame_mode")
  /// Whether a super frame stays that the rate has room for.
  public static let ratePriority = SettingKey("rc_priority")
}

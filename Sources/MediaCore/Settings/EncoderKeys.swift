// SPDX-License-Identifier: Apache-2.0

// The keys of what an encoder's engine is asked for. An engine says which of them it obeys (``EngineSettings``).
extension SettingKey where Value == Int {
  public static let gop = SettingKey("gop")
  public static let bitrate = SettingKey("bitrate")
  public static let keyQP = SettingKey("qp_i")
  public static let predictedQP = SettingKey("qp_p")
  public static let minQP = SettingKey("min_qp")
  public static let maxQP = SettingKey("max_qp")
  public static let quality = SettingKey("quality")
  /// The rate that is left after frame-rate control; an engine gets it as the rate of its frames.
  public static let codedRate = SettingKey("fps_dst")
}

extension SettingKey where Value == String {
  public static let profile = SettingKey("profile")
  public static let rateControl = SettingKey("rc_mode")
}

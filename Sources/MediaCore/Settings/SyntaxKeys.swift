// SPDX-License-Identifier: Apache-2.0

// The keys of how a stream is written: what its headers say (ITU-T H.264, 7.4.2), besides rate and groups.
extension SettingKey where Value == String {
  /// `cavlc` or `cabac`.
  public static let entropy = SettingKey("entropy")
  /// `none`, `bytes` or `rows`.
  public static let sliceMode = SettingKey("slice_mode")
  /// `off` or `column`: blocks that are coded without reference to others go over the picture, in the place of key pictures.
  public static let intraRefresh = SettingKey("intra_refresh")
  /// `normalp` or `smartp`.
  public static let gopMode = SettingKey("gop_mode")
}

extension SettingKey where Value == Int {
  /// 1: blocks of 8x8 may be transformed whole.
  public static let transform8x8 = SettingKey("transform_8x8")
  /// 0: the deblocking filter is off.
  public static let deblocking = SettingKey("deblocking")
  /// Half of what the filter's thresholds are moved by.
  public static let deblockingAlpha = SettingKey("deblocking_alpha")
  public static let deblockingBeta = SettingKey("deblocking_beta")
  /// H.265: in the place of alpha.
  public static let deblockingTc = SettingKey("deblocking_tc")
  /// H.265: 0 switches sample-adaptive offset off.
  public static let sampleAdaptiveOffset = SettingKey("sao")
  /// H.265: 0 switches the strong smoothing of what large intra blocks are predicted from off.
  public static let intraSmoothing = SettingKey("intra_smoothing")
  /// With `smartp`, frames from one background picture to the next.
  public static let backgroundInterval = SettingKey("bg_interval")
  /// What is added to the quantiser for chroma.
  public static let chromaQPOffset = SettingKey("chroma_qp_offset")
  /// Bytes, or rows of macroblocks, by ``sliceMode``.
  public static let sliceSize = SettingKey("slice_size")
}

/// How a picture is cut into slices.
public enum SliceMode: Sendable, Equatable {
  case none
  /// A slice has at most so many bytes.
  case bytes(Int)
  /// A slice has so many rows of macroblocks.
  case rows(Int)
}

extension EncoderConfiguration {
  public var slices: SliceMode {
    switch settings[.sliceMode] {
    case "bytes": .bytes(settings[.sliceSize] ?? SliceMode.usualBytes)
    case "rows": .rows(settings[.sliceSize] ?? 1)
    default: .none
    }
  }

  /// The deblocking filter is on unless it was switched off.
  public var deblocks: Bool { settings[.deblocking] != 0 }

  /// Rows of macroblocks of a picture.
  public var macroblockRows: Int { (height + 15) / 16 }
  public var macroblockColumns: Int { (width + 15) / 16 }

  /// Slices of a picture that is cut into so many rows of macroblocks each.
  public func slices(ofRows rows: Int) -> Int { (macroblockRows + rows - 1) / rows }
}

extension SliceMode {
  /// Fits an Ethernet packet with the headers of RTP, UDP and IP (RFC 6184, 1460 of 1500).
  public static let usualBytes = 1400
}

extension StreamSyntax {
  /// What the headers say of a setting, as the setting reads; `nil` where they say nothing of it.
  public func text(of key: String) -> String? {
    guard codec == .h264 || codec == .h265 else { return nil }
    return switch key {
    case SettingKey<String>.entropy.name where codec == .h264: cabac ? "cabac" : "cavlc"
    case SettingKey<Int>.transform8x8.name where codec == .h264: transform8x8 ? "1" : "0"
    case SettingKey<Int>.deblocking.name: deblockingDisabled == 1 ? "0" : "1"
    case SettingKey<Int>.deblockingAlpha.name where codec == .h264: "\(deblockingAlpha)"
    case SettingKey<Int>.deblockingTc.name where codec == .h265: "\(deblockingTc)"
    case SettingKey<Int>.sampleAdaptiveOffset.name where codec == .h265: mayOffsetSamples ? "1" : "0"
    case SettingKey<Int>.intraSmoothing.name where codec == .h265: strongIntraSmoothing ? "1" : "0"
    case SettingKey<Int>.deblockingBeta.name: "\(deblockingBeta)"
    case SettingKey<Int>.chromaQPOffset.name: "\(chromaQPOffset)"
    default: nil
    }
  }
}

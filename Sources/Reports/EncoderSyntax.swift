// SPDX-License-Identifier: Apache-2.0

/// Syntax elements of an H.264 stream, read from its parameter sets and slice headers. nil: not known (nothing
/// coded yet, or the stream does not say).
public struct H264Syntax: Sendable, Equatable {
  /// `baseline`, `main`, `high`, `high10`; another name is shown as it is.
  public var profile: String?
  /// entropy_coding_mode_flag: arithmetic coding.
  public var cabac: Bool?
  /// transform_8x8_mode_flag.
  public var transform8x8: Bool?
  /// A scaling matrix of its own is sent.
  public var scalingMatrix: Bool?
  /// pic_order_cnt_type.
  public var pictureOrderCountType: Int?
  /// slice_alpha_c0_offset_div2.
  public var alphaOffset: Int?
  /// slice_beta_offset_div2.
  public var betaOffset: Int?

  public init() {}
}

/// Syntax elements of an H.265 stream, read from its parameter sets and slice headers. nil: not known.
public struct H265Syntax: Sendable, Equatable {
  /// `main`, `main10`; another name is shown as it is.
  public var profile: String?
  /// The deblocking filter works (slice_deblocking_filter_disabled_flag is 0).
  public var deblocking: Bool?
  /// slice_tc_offset_div2.
  public var tcOffset: Int?
  /// slice_beta_offset_div2.
  public var betaOffset: Int?
  /// Sample-adaptive offset of luma works.
  public var saoLuma: Bool?
  /// Sample-adaptive offset of chroma works.
  public var saoChroma: Bool?
  /// strong_intra_smoothing_enabled_flag.
  public var strongIntraSmoothing: Bool?
  /// pps_cb_qp_offset.
  public var cbQPOffset: Int?
  /// pps_cr_qp_offset.
  public var crQPOffset: Int?

  public init() {}
}

/// Quantisation of a JPEG channel. nil: not known or not applicable.
public struct JPEGSyntax: Sendable, Equatable {
  /// Quantiser the engine is told, in the engine's own measure.
  public var quantiser: Int?
  /// Quality factor in use, 1-99.
  public var quality: Int?
  /// Upper bound of the quality factor.
  public var maximumQuality: Int?
  /// Lower bound of the quality factor.
  public var minimumQuality: Int?

  public init() {}
}

/// What the stream's syntax says, by coded format.
public enum EncoderSyntax: Sendable, Equatable {
  case h264(H264Syntax)
  case h265(H265Syntax)
  case jpeg(JPEGSyntax)
  /// A format without a section of its own.
  case other
}

/// A part of the picture coded with a quality of its own.
public struct RegionOfInterest: Sendable, Equatable {
  /// Number of the part.
  public var index: Int
  /// Left edge, pixels.
  public var x: Int
  /// Top edge, pixels.
  public var y: Int
  /// Width, pixels.
  public var width: Int
  /// Height, pixels.
  public var height: Int
  /// QP, or difference of QP, by `isAbsolute`.
  public var quality: Int
  /// Blocks in it are coded intra.
  public var intra: Bool
  /// `quality` is a QP, not a difference.
  public var isAbsolute: Bool

  public init(
    index: Int, x: Int, y: Int, width: Int, height: Int, quality: Int, intra: Bool = false, isAbsolute: Bool = false
  ) {
    self.index = index
    self.x = x
    self.y = y
    self.width = width
    self.height = height
    self.quality = quality
    self.intra = intra
    self.isAbsolute = isAbsolute
  }
}

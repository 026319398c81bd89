// SPDX-License-Identifier: Apache-2.0

/// What the bytes of one coded picture say about it.
public struct PictureInfo: Sendable, Equatable {
  /// `nil` when the bytes hold no picture that can be read.
  public var type: PictureType?
  /// A reader can start here: an IDR picture, one of H.265's random access pictures, any JPEG, a VP8 key frame, an FWHT intra
  /// picture.
  public var isKey = false
  /// Quantiser of the picture: mean over its slices of the slice quantiser. `nil` where the format has none or it could
  /// not be read.
  public var qp: Int?
  /// JPEG quality factor the quantisation table comes from, 1...100; `nil` for other formats and foreign tables.
  public var quality: Int?
  public var slices = 0
  /// One field of an interlaced H.264 picture; the other comes in a unit of its own.
  public var isField = false
  /// Size of all its bytes, start codes and headers counted.
  public var bits = 0
  /// Parameter sets (H.264: both kinds) came with it.
  public var hasParameterSets = false
  /// A parameter set of any kind came with it.
  public var bringsParameterSets = false
  /// It refers to a parameter set that has not come.
  public var lacksParameterSets = false
  /// Others may be predicted from it.
  public var isReference = true
  /// Decoding can begin here: a key picture, an intra picture, or where a message says so (H.264 D.2.8, H.265 D.3.8).
  public var isRecoveryPoint = false
  /// Whoever begins here has whole pictures after so many more, in the order of decoding (H.265: of showing): 0 at a key picture, what
  /// the message says at a recovery point. `nil` where the stream does not say that one can begin.
  public var recoversAfter: Int?
  /// Predicted from a long-term reference alone, and not because there is no other: the first of a group that needs the picture
  /// which began the stream, and nothing since.
  public var isVirtualKey = false
  /// Whoever has begun at the last recovery point has whole pictures from this one on, in the order of decoding.
  public var isRecovered = false
  /// It comes after the last intra or key picture, is shown before it, and may refer to what was before both.
  public var isLeading = false
  /// Pictures others refer to that should have come before this one and did not.
  public var missing = 0
  public init() {}
}

/// What the headers of a stream say about how it is coded. Values of the last picture seen.
public struct StreamSyntax: Sendable, Equatable {
  public var codec: Codec
  public var width = 0
  public var height = 0
  /// H.264 `profile_idc`: 66 Baseline, 77 Main, 100 High. H.265 `general_profile_idc`: 1 Main, 2 Main 10.
  public var profile = 0
  /// H.264 `level_idc`: ten times the level; H.265 `general_level_idc`: thirty times.
  public var level = 0
  /// H.264 constraint flags, set0 in bit 7.
  public var constraints = 0
  /// Arithmetic coding (CABAC) rather than CAVLC.
  public var cabac = false
  public var transform8x8 = false
  public var constrainedIntra = false
  /// `pic_order_cnt_type`.
  public var pictureOrderType = 0
  public var log2MaxFrameNumber = 0
  public var referenceFrames = 0
  public var frameMacroblocksOnly = true
  /// `chroma_format_idc`: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
  public var chromaFormat = 1
  public var bitDepth = 8
  /// Scaling matrices are sent, in the sequence or the picture parameter set.
  public var scalingMatrix = false
  /// `pic_init_qp`: what slice quantisers are relative to.
  public var initialQP = 0
  /// Of both chroma planes in H.264, of Cb in H.265.
  public var chromaQPOffset = 0
  /// H.265 `pps_cr_qp_offset`.
  public var crQPOffset = 0
  public var weightedPrediction = false
  /// Slices carry their deblocking parameters.
  public var deblockingControl = false
  /// `disable_deblocking_filter_idc`: 0 on, 1 off, 2 on inside slices.
  public var deblockingDisabled = 0
  /// Deblocking offsets as coded (half of what the filter adds).
  public var deblockingAlpha = 0
  public var deblockingBeta = 0
  /// H.265 `slice_tc_offset_div2`.
  public var deblockingTc = 0
  /// H.265: sample-adaptive offset works on luma, and on chroma, in the slice.
  public var sampleAdaptiveOffset = false
  public var chromaSampleAdaptiveOffset = false
  /// H.265: slices may say so, by the sequence parameter set.
  public var mayOffsetSamples = false
  /// H.265 `strong_intra_smoothing_enabled_flag`.
  public var strongIntraSmoothing = false
  /// Frames a second the headers state (VUI timing), `nil` where they do not.
  public var frameRate: FrameRate?
  /// What the headers say about colour, in codings whose headers do.
  public var color = ColorDescription.unspecified
  public var aspect = SampleAspect.unknown
  public init(codec: Codec) { self.codec = codec }
}

extension StreamSyntax {
  /// The profile's name as the tree takes it, where it is one of those.
  public var profileName: String? {
    switch (codec, profile) {
    case (.h264, 66): "baseline"
    case (.h264, 77), (.h265, 1): "main"
    case (.h264, 100): "high"
    case (.h265, 2): "main10"
    default: nil
    }
  }

  /// H.264's profile as the standard names it (ITU-T H.264, annex A).
  public var profileTitle: String {
    switch profile {
    case 66: "Baseline"
    case 77: "Main"
    case 88: "Extended"
    case 100: "High"
    case 110: "High 10"
    case 122: "High 4:2:2"
    case 244: "High 4:4:4"
    case 44: "CAVLC 4:4:4"
    default: "profile \(profile)"
    }
  }
}

/// Reads pictures of one stream, one after the other.
///
/// Every back end's pictures go through here, since what drivers and libraries report about them cannot be relied on
/// (some flag no key frames, some report a QP of 0). Keeps the parameter sets of the stream; allocates when it is made and
/// never for a picture. Any bytes may come: what cannot be read is `nil`.
public struct PictureParser: Sendable {
  private enum Reader: Sendable {
    case h264(H264Reader)
    case jpeg(JPEGReader)
    case fwht
    case vp8
    case hevc(HEVCReader)
    case none
  }

  private var reader: Reader
  /// What the stream's headers say; `nil` until they were seen.
  public private(set) var syntax: StreamSyntax?

  public init(_ codec: Codec) {
    switch codec {
    case .h264: reader = .h264(H264Reader())
    case .mjpeg: reader = .jpeg(JPEGReader())
    case .fwht: reader = .fwht
    case .vp8: reader = .vp8
    case .h265: reader = .hevc(HEVCReader())
    }
  }

  /// Another stream begins, which may use the parameter sets of the one before.
  public mutating func restart() {
    let taken = reader
    reader = .none
    switch consume taken {
    case .h264(var h264):
      h264.restart()
      reader = .h264(h264)
    case .hevc(var hevc):
      hevc.restart()
      reader = .hevc(hevc)
    case let other: reader = other
    }
  }

  /// Reads one picture: all its bytes, with the parameter sets before it if there are any.
  public mutating func parse(_ bytes: UnsafeRawBufferPointer) -> PictureInfo {
    var info = PictureInfo()
    info.bits = bytes.count * 8
    // The payload is moved out and back so that its tables are changed in place, not copied.
    let taken = reader
    reader = .none
    switch consume taken {
    case .h264(var h264):
      h264.read(bytes, &info, &syntax)
      reader = .h264(h264)
    case .jpeg(var jpeg):
      jpeg.read(bytes, &info, &syntax)
      reader = .jpeg(jpeg)
    case .fwht:
      FWHTHeader.read(bytes, &info, &syntax)
      reader = .fwht
    case .vp8:
      VP8Reader.read(bytes, &info, &syntax)
      reader = .vp8
    case .hevc(var hevc):
      hevc.read(bytes, &info, &syntax)
      reader = .hevc(hevc)
    case .none: break
    }
    if info.isKey { (info.isRecoveryPoint, info.isRecovered, info.recoversAfter) = (true, true, 0) }
    return info
  }
}

// SPDX-License-Identifier: Apache-2.0
#if X264
  import CX264
  import MediaCore

  /// The settings of the stream's syntax that x264 obeys (its `x264.h`). The library is opened anew for each.
  enum X264Syntax {
    static let settings: [EngineSetting] = [
      EngineSetting(.entropy), EngineSetting(.transform8x8, live: false), EngineSetting(.deblocking, live: false),
      EngineSetting(.deblockingAlpha, live: false), EngineSetting(.deblockingBeta, live: false),
      EngineSetting(.chromaQPOffset, live: false), EngineSetting(.sliceMode), EngineSetting(.sliceSize, live: false),
      EngineSetting(.intraRefresh),
    ]

    static let obstacles = H264Limits.onlyHEVC.merging(
      [SettingKey<String>.gopMode.name: "it keeps no long-term reference"]) { own, _ in own }

    /// After the preset, before the profile is applied, which takes away what it does not have.
    static func fill(_ p: inout x264_param_t, _ c: EncoderConfiguration) {
      if let entropy = c.settings[.entropy], entropy != "auto" { p.b_cabac = entropy == "cabac" ? 1 : 0 }
      if let transform = c.settings[.transform8x8] { p.analyse.b_transform_8x8 = CInt(transform) }
      p.b_deblocking_filter = c.deblocks ? 1 : 0
      p.i_deblocking_filter_alphac0 = CInt(c.settings[.deblockingAlpha] ?? 0)
      p.i_deblocking_filter_beta = CInt(c.settings[.deblockingBeta] ?? 0)
      p.analyse.i_chroma_qp_offset = CInt(c.settings[.chromaQPOffset] ?? 0)
      switch c.slices {
      case .none: break
      case .bytes(let size): p.i_slice_max_size = CInt(clamping: size)
      case .rows(let rows): p.i_slice_max_mbs = CInt(clamping: rows * c.macroblockColumns)
      }
    }
  }
#endif

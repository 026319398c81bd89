// SPDX-License-Identifier: Apache-2.0
import COpenH264
import MediaCore

/// The settings of the stream's syntax that openh264 obeys (its `codec_app_def.h`). The library is opened anew for each.
enum OpenH264Syntax {
  static let settings: [EngineSetting] = [
    EngineSetting(.entropy), EngineSetting(.deblocking, live: false), EngineSetting(.deblockingAlpha, live: false),
    EngineSetting(.deblockingBeta, live: false), EngineSetting(.sliceMode), EngineSetting(.sliceSize, live: false),
    EngineSetting(.gopMode), EngineSetting(.backgroundInterval, live: true),
  ]

  static let obstacles = H264Limits.onlyHEVC.merging(
    [SettingKey<String>.intraRefresh.name: "it codes blocks without reference where it likes, in no order"]
      .merging(SettingKey<PictureRegion>.regions.map { ($0.name, "it has one quantiser for all blocks of a picture") })
    {
      own, _ in own
    }
  ) { own, _ in own }

  /// MAX_SLICES_NUM_TMP of the library: entries of its table of slice sizes.
  private static let mostSlices = 35

  static func fill(_ p: inout SEncParamExt, _ c: EncoderConfiguration) {
    p.iEntropyCodingModeFlag = c.settings[.entropy] == "cavlc" || c.profile == "baseline" ? 0 : 1
    p.iLoopFilterDisableIdc = c.deblocks ? 0 : 1
    p.iLoopFilterAlphaC0Offset = CInt(c.settings[.deblockingAlpha] ?? 0)
    p.iLoopFilterBetaOffset = CInt(c.settings[.deblockingBeta] ?? 0)
    switch c.slices {
    case .none:
      // One slice a thread: the library parallelises over slices only.
      p.sSpatialLayers.0.sSliceArgument.uiSliceMode = c.threads > 1 ? SM_FIXEDSLCNUM_SLICE : SM_SINGLE_SLICE
      p.sSpatialLayers.0.sSliceArgument.uiSliceNum = UInt32(clamping: c.threads)
    case .bytes(let size):
      p.sSpatialLayers.0.sSliceArgument.uiSliceMode = SM_SIZELIMITED_SLICE
      p.sSpatialLayers.0.sSliceArgument.uiSliceSizeConstraint = UInt32(clamping: size)
      p.uiMaxNalSize = UInt32(clamping: size)
    case .rows(let rows):
      p.sSpatialLayers.0.sSliceArgument.uiSliceMode = SM_RASTER_SLICE
      withUnsafeMutableBytes(of: &p.sSpatialLayers.0.sSliceArgument.uiSliceMbNum) { bytes in
        let sizes = bytes.bindMemory(to: UInt32.self)
        for slice in 0..<min(sizes.count, c.slices(ofRows: rows)) {
          let left = c.macroblockRows - slice * rows
          sizes[slice] = UInt32(min(rows, left) * c.macroblockColumns)
        }
      }
    }
  }

  /// - Throws: ERANGE where a picture of that size would have more slices than the library takes.
  static func check(_ c: EncoderConfiguration, engine: String) throws(Failure) {
    guard case .rows(let rows) = c.slices, c.slices(ofRows: rows) > mostSlices else { return }
    let least = (c.macroblockRows + mostSlices - 1) / mostSlices
    throw Failure(
      .outOfRange, SettingKey<Int>.sliceSize.name, on: engine,
      "it takes \(mostSlices) slices a picture, so at least \(least) rows each")
  }
}

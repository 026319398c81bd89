// SPDX-License-Identifier: Apache-2.0
internal import MediaCore

/// What encoder drivers accept while streaming and then do not do: data, one row a driver, each with its source.
///
/// A setting that is not live is changed by opening the encoder anew, so that it takes effect at the next key frame
/// instead of never. Drivers that answer EBUSY (allegro grabs its controls) need no row, and of those without one every
/// control is taken to be live; `effect` measures what became of it either way.
struct EncoderQuirks {
  /// What a driver applies to the running stream.
  struct Live: OptionSet {
    let rawValue: Int
    static let bitrate = Live(rawValue: 1)
    static let gop = Live(rawValue: 2)
    static let quality = Live(rawValue: 4)
    static let quantiser = Live(rawValue: 8)
    /// Bounds of the quantiser.
    static let bounds = Live(rawValue: 16)
    static let all: Live = [.bitrate, .gop, .quality, .quantiser, .bounds]
  }

  struct Row {
    /// `driver` of VIDIOC_QUERYCAP.
    var driver: String
    var live: Live
    /// File and function of Linux 6.12 it was read from.
    var source: String
  }

  /// Paths are below drivers/media of Linux 6.12.
  static let rows = [
    // GOP_SIZE is stored; key frames are placed by it, but the change flag that would tell the firmware is never set.
    Row(
      driver: "coda", live: [.bitrate, .quantiser, .quality],
      source: "platform/chips-media/coda/coda-common.c coda_s_ctrl; coda-bit.c coda_enc_param_change"),
    // Everything is stored and read when the sequence is opened.
    Row(
      driver: "wave5-enc", live: [],
      source: "platform/chips-media/wave5/wave5-vpu-enc.c wave5_vpu_enc_s_ctrl, wave5_set_enc_openparam"),
    // Only bitrate, key frame and long-term reference reach the firmware.
    Row(driver: "qcom-venus", live: [.bitrate], source: "platform/qcom/venus/venc_ctrls.c venc_op_s_ctrl"),
    Row(driver: "amphion-vpu", live: [.bitrate], source: "platform/amphion/venc.c venc_op_s_ctrl"),
    // The register of changed parameters is written with 0.
    Row(driver: "s5p-mfc", live: [], source: "platform/samsung/s5p-mfc/s5p_mfc_opr_v6.c s5p_mfc_encode_one_frame_v6"),
    // Attached to the next raw buffer.
    Row(
      driver: "mtk-vcodec-enc", live: [.bitrate, .gop],
      source: "platform/mediatek/vcodec/encoder/mtk_vcodec_enc.c mtk_venc_param_change"),
    Row(
      driver: "vicodec", live: .all,
      source: "test-drivers/vicodec/vicodec-core.c vicodec_s_ctrl; seen in the guest tier"),
  ]

  static func live(_ driver: String) -> Live { rows.first { $0.driver == driver }?.live ?? .all }
}

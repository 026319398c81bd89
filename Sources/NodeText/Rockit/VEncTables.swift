// SPDX-License-Identifier: Apache-2.0

/// Every table of `venc_info` in one dialect. Titles, spellings (`runing`), widths and the blanks at the ends of some
/// rows are the vendor's.
struct VEncTables: Sendable {
  static let may2022 = VEncTables(barred: false)
  static let june2023 = VEncTables(barred: true)

  /// The layout of June 2023: bars between columns and more columns.
  let isNew: Bool
  let worker, status, attributes1, attributes2, ring, engine, roi: VEncTable
  let h264, h265, jpeg, h264Slices, h265Slices, h264Syntax, h265Syntax, transform: VEncTable
  let base1, base1Smart, base2, common1, common2, gop: VEncTable
  let cbr, vbr, avbr, smart, hierarchy, breathing, run: VEncTable
  let packets, buffers, frames: VEncTable

  private init(barred: Bool) {
    isNew = barred
    func table(
      _ title: String, lead: Int = 8, total: Int = 98, _ columns: String, headerBlank: Bool = false,
      valueBlank: Bool = false, follows: Bool = false
    ) -> VEncTable {
      VEncTable(
        title, lead: lead, total: total, columns, barred: barred, headerBlank: headerBlank, valueBlank: valueBlank,
        follows: follows)
    }

    worker = table("venc thread status", "last_runing:15 run_cnt:15 que_cnt:15")
    status = table(
      "venc chn runing status",
      """
      ID:8 runing:8 combo_run:10 cfg_gap:10 strm_cnt:10 strm_out:10 gap_time:10 cb_gap_time:14 last_cb_start:15 \
      last_cb_end:15
      """)
    attributes1 = table(
      "venc chn attr 1",
      "ID:8 Width:8 Height:8 Type:6 ByFrame:9 Sequence:10 GopMode:10 Prio:6"
        + (barred ? " MaxWidth:10 MaxHeight:11 Online:8 RefShare:10" : ""))
    attributes2 = table(
      "venc chn attr 2",
      "ID:8 VeStr:8 SrcFr:8 TarFr:8 Timeref:12 PixFmt:12 RealFps*10:12 rotation:12 mirror:10")
    ring = table(
      "ring buf status", "ID:8 w_pos:8 r_pos:8 usd_len:8 total_len:10 min_size:10 l_w_pos:10 l_r_pos:10")
    engine = table(
      "hw status", "ID:8 hw_run:8 enc_status:12 pkt_fail_cnt:14 ring_fail_cnt:14 cfg_fail_cnt:14 start_fail_cnt:16")
    roi = table("venc roi attr ", "ID:8 roi:8 x:8 y:8 w:8 h:8 quality:8 intra:8 abs_qp:8")

    h264 = table("h264e chn attr", "ID:7 Width:10 Height:10 profile:10")
    h265 = table("h265e chn attr", "ID:7 Width:10 Height:10 profile:10")
    jpeg = table("jpege chn attr", "ID:7 Width:10 Height:10 quant:10 qfactor:10 qfmax:10 qfmin:10")
    let slices =
      "ID:7 SlcspltEn:10 SplitMode:10 Slcsize:\(barred ? "10" : "10/15") IntraRefresh:15 RefreshMode:15 RefreshNum:15"
    h264Slices = table("Syntax INFO1", slices)
    h265Slices = table("Syntax INFO1", total: 97, slices)
    h264Syntax = table(
      "Syntax INFO2", lead: 5, "ID:7 profile:10 Cabac:10 trans8:10 QMatrix:8 POC:6 alpha:8 beta:8", follows: true)
    h265Syntax = table(
      "Syntax INFO2", "ID:7 DblkEn:10 Tc:\(barred ? "8" : "8/7") Beta:8 Saoluma:10 Saochroma:10 IntraSmoothing:15/12",
      follows: true)
    transform = table("Trans INFO", lead: 6, total: 99, "ID:7 CbQpOffset:12 CrQpOffset:12", follows: true)

    base1 = table(
      "RC base param 1", lead: 9,
      "ChnId:7 Gop:7 StatTm:8 ViFr:6 TrgFr:6 RcMode:8 Br(kbps):10 IQp:5 PQp:5", headerBlank: true, valueBlank: true)
    base1Smart = table(
      "RC base param 1", lead: 9,
      "ChnId:7 Gop:7 StatTm:8 ViFr:6 TrgFr:6 RcMode:8 MinBr(kbps):13 MaxBr(kbps):13 IQp:5 PQp:5", headerBlank: true,
      valueBlank: true)
    base2 = table(
      "RC base param 2", lead: 9, "ChnId:7 MinQp:8 MaxQp:8 MinIQp:8 MaxIQp:8 EnableIdr:12", headerBlank: true,
      valueBlank: true)
    common1 = table(
      "RC run comm param 1", lead: 9, "ChnId:7 bLost:8 LostThr:12 LostFrmStr:12 EncGap:10", headerBlank: true,
      valueBlank: true)
    common2 = table(
      "RC run comm param 2", lead: 9, "ChnId:7 SprFrmMod:12 SprIFrm:12 SprPFrm:12 RCPriority:12", headerBlank: true,
      valueBlank: true)
    gop = table(
      "RC gop mode attr", lead: 9, "ChnId:7 GopMode:10 IpQpDelta:10 BgInterval:12 ViQpDelta:10", headerBlank: true)
    let frameLimits = "FrmMaxQp:10 FrmMinQp:10 FrmMaxIQp:10 FrmMinIQp:10 "
    let bounds =
      "MinIprop:10 MaxIprop:10 MaxQp:8 MinQp:8 MaxIQp:8 MinIQp:8 " + (barred ? frameLimits : "") + "MaxReEncTimes:15"
    cbr = table("RC run cbr param", lead: 9, "ChnId:7 " + bounds, headerBlank: true)
    vbr = table("RC run vbr common param", lead: 9, "ChnId:7 ChgPs:8 " + bounds, headerBlank: true)
    avbr = table(
      "RC run avbr param", lead: 9, "ChnId:7 MaxStillQP:15 MotionSensi:15 MinPercent:15 MinQpDelta:15",
      headerBlank: true, valueBlank: true)
    smart = table(
      "RC run smart common param", lead: 9, total: 100,
      "ChnId:7 MaxQp:8 MinQp:8 MaxIQp:8 MinIQp:8 " + frameLimits + "MaxReEncTimes:15", headerBlank: true)
    hierarchy = table(
      "RC HierarchicalQp INFO",
      """
      ChnId:7 bEnable:10 FrameNum[0]:12 FrameNum[1]:12 FrameNum[2]:12 FrameNum[3]:12 QpDelta[0]:12 QpDelta[1]:12 \
      QpDelta[2]:12 QpDelta[3]:12
      """)
    breathing = table("RC debreath_effect info", "ChnId:7 bEnable:10 Strength0:10 DeBrthEfctCnt:18")
    run = table(
      "RC run info1",
      """
      ChnId:7 InsBr(kbps):14 InsFr:8 WatL:8 CfgBt(kb):12 RealBt(kb):12 IPRatio:10 StartQp:10 MinQp:8 MaxQp:8
      """)

    let pool = "unused_cnt:12 used_cnt:12 total_cnt:12" + (barred ? " max_cnt:12" : "")
    packets = barred ? table("mpp_packet pool", pool) : table("packet_pool", total: 94, pool)
    buffers = table("mpp_buffer pool", pool)
    frames = table("mpp_frame pool", total: 97, pool)
  }
}

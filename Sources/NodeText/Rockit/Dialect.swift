// SPDX-License-Identifier: Apache-2.0

/// A generation of the vendor's text, chosen once for a mount.
///
/// ## Where the figures differ from the vendor's manual
///
/// The manual is the "ROCKIT Runtime Library" of May 2022 (V1.4.11 to V1.4.15). Where it and the code that prints the
/// nodes disagree, the code decides, since scripts read what boards print:
///
/// | node, column | manual | printed, here as on the board |
/// |---|---|---|
/// | `venc_info` `cfg_gap`, `gap_time` | milliseconds | microseconds |
/// | `venc_info` `cb_gap_time` | no unit | microseconds |
/// | `venc_info` `last_runing` | "moment last woken" | nanoseconds of CLOCK_MONOTONIC_RAW at the last start or end of the worker |
/// | `venc_info` `last_cb_start`, `last_cb_end` | a moment | microseconds of CLOCK_REALTIME; a channel's start until there was one |
/// | `venc_info` `Timeref` | "start time" | the low 32 bits of the start in CLOCK_REALTIME microseconds, hexadecimal, no prefix |
/// | `venc_info` `RealFps` | frame rate | `RealFps*10`: ten times the rate, an integer |
/// | `venc_info` `usd_len` | space used | the most ever used |
/// | `venc_info` `w_pos`, `r_pos`, `total_len`, `min_size` | no unit | bytes |
/// | `venc_info` `LostFrmStr` | frames lost | frames lost one after the other so far |
/// | `venc_info` `EncGap` | interval of coded frames | most frames that may be lost one after the other |
/// | `venc_info` `CfgBt(kb)`, `RealBt(kb)` | size of a frame in kb | rates in kbps: the target, and the measurement before the last |
/// | `venc_info` `RCPriority` | `bitrate` or `framebits` | 0 or 1 |
/// | `venc_info` `RefreshMode` | `row` or `column` | 0 or 1 |
/// | `venc_info` `profile` | `Base`, `Mp`, `Hp` | `baseline`, `main`, `high` |
/// | `venc_info` `Saoluma`, `Saochroma`, `IntraSmoothing` | the flags | 1 when switched off, 0 when on |
/// | `venc_info` `ByFrame` | 0 or 1 | `y` or `n` |
/// | `venc_info` `SprFrmMod` | a mode | always `bit`: the bounds beside it are counted in bits |
/// | `valloc` `handle` | physical address on RV1106 | a number that stands for the buffer; never an address |
/// | `vsys` | no column `state` | `state`, a word of flags, after `otime` |
/// | `vrgn` | `heigth` | `height` |
///
/// `vsys` `itime` and `otime` are microseconds in both. `vsys` `timeout` (1.4.81) is in no manual: milliseconds here.
/// What an engine does not tell prints as `N/A` in `venc_info` and as `-1` in the `/dev/mpi` nodes.
///
/// ## Where the generations differ
///
/// * `valloc`: 1.4.81 adds `vaddr`, `paddr` and `nkid`, prints -1 where 1.4.32 prints 0 for a buffer that is no DMA-BUF
///   (`dmacnt`) or a view of shared memory (`size`), and names a user that has gone `deleted_...`.
/// * `vsys`: 1.4.81 adds `handle`, `uid` and, on each side, `wcnt`, `depth`, `timeout`.
/// * `vlog`: 1.4.32 puts the line break before a line, 1.4.81 after it; other shape of the fields.
/// * `venc_info`: the layout of 1.4.81 is that of June 2023: `|` between columns, more columns, three pools.
///   The layout of 1.4.32 is that of May 2022 and keeps its exchange of two values: in `RC run cbr param` and
///   `RC run vbr common param` the *lowest* QP stands under `MaxQp` and the *highest* under `MinQp` (the key-frame
///   columns beside them are right). Scripts written for those boards count on it, and `RC base param 2` shows both
///   rightly in both layouts.
public enum Dialect: String, Sendable, Equatable, CaseIterable {
  /// rockit-ko 1.4.32 (February 2023), with the `venc_info` of May 2022.
  case rockit1432 = "rockit-1.4.32"
  /// rockit-ko 1.4.81 (May 2024), with the `venc_info` of June 2023.
  case rockit1481 = "rockit-1.4.81"
}

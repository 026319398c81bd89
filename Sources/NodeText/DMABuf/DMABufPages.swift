// SPDX-License-Identifier: Apache-2.0

/// The nodes of Rockchip's kernel about DMA-BUF memory, `/proc/rk_dmabuf/*`.
enum DMABufPages {
  static let pages = [DMABufSizePage.page, DMABufPeakPage.page, DMABufCheckPage.page]
}

// SPDX-License-Identifier: Apache-2.0

/// The nodes of Rockchip's kernel about DMA-BUF memory, `/proc/rk_dmabuf/*`, and what finds a leak with them.
enum DMABufPages {
  static let pages = [
    DMABufSizePage.page, DMABufPeakPage.page, DMABufDevPage.page, DMABufSgtPage.page, DMABufSourcePage.page,
    DMABufByProcessPage.page, DMABufGrowthPage.page, DMABufHistoryPage.page, DMABufCheckPage.page,
  ]
}

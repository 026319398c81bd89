// SPDX-License-Identifier: Apache-2.0

/// The nodes of Rockchip's kernel about its DMA-BUF heaps, `/proc/rk_dma_heap/*`. Those of areas of contiguous memory,
/// ``ContiguousAreaPage``, stand beside them where there are such areas.
enum DMAHeapPages {
  static let pages = [DMAHeapInfoPage.page]
}

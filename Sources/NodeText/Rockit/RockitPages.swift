// SPDX-License-Identifier: Apache-2.0

/// The nodes of Rockchip's Rockit library, `/dev/mpi/*`, and of its encoder driver.
enum RockitPages {
  static func pages(_ dialect: Dialect) -> [Page] {
    [
      VSysPage.page(dialect), VAllocPage.page(dialect), VRgnPage.page, VEncInfoPage.page(dialect),
      VLogPage.page(dialect),
    ]
  }
}

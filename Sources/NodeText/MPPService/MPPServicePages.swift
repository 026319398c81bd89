// SPDX-License-Identifier: Apache-2.0

/// The nodes of Rockchip's codec service, `/proc/mpp_service/*`.
enum MPPServicePages {
  static func pages(_ dialect: Dialect) -> [Page] {
    [
      MPPVersionPage.page, SessionsSummaryPage.page(dialect), SupportsCmdPage.page, SupportsDevicePage.page,
      LoadPage.page, LoadIntervalPage.page, TimingEnablePage.page,
    ]
  }

  /// Those of each service, in a directory of its own.
  static let servicePages = [
    TaskCountPage.page, SessionBuffersPage.page, DisableWorkPage.page, TimingCheckPage.page, SessionsInfoPage.page,
  ]
}

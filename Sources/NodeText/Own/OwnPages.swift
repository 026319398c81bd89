// SPDX-License-Identifier: Apache-2.0

/// The nodes no vendor has.
enum OwnPages {
  static let pages = [
    HealthPage.page, ErrorLogPage.page, ConfigPage.page, MemoryLimitPage.page, DevicesPage.page, DropsPage.page,
    HelpPage.page,
    MetricsPage.page, ReportPage.page,
  ]

  static let objectPages = [
    StatePage.page, ActivePage.page, StatsPage.page, EffectPage.page, StreamPage.page, ResultPage.page,
    FreePage.page, MinimumFreePage.page,
  ]
}

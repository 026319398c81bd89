// SPDX-License-Identifier: Apache-2.0

/// `config`: the whole configuration, loadable as it is.
enum ConfigPage {
  /// Longest configuration that is taken, in one write.
  private static let limit = 240 << 10

  static let page = Page(
    "config",
    takes: Intake("what it shows, in one write", limit: limit, isWhole: true) { .loadConfiguration($0) },
    "the whole configuration"
  ) { $1.bytes($0.config) }
}

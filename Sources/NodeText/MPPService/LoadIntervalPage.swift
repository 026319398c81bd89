// SPDX-License-Identifier: Apache-2.0

/// The vendor's `load_interval`: the window of `load`, milliseconds; 0 measures nothing.
enum LoadIntervalPage {
  static let page = Page(
    "mpp_service/load_interval", capacity: 16, takes: .number { .setServices(.loadWindow, $0) },
    "window of load, milliseconds; 0: nothing is measured"
  ) { writeKernelNumber($0.services.loadWindow, to: &$1) }
}

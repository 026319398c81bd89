// SPDX-License-Identifier: Apache-2.0

/// The vendor's `timing_check`: from how many microseconds on a task is slow; 0: none is.
enum TimingCheckPage {
  static let page = ServicePage(
    "timing_check", capacity: 16, takes: .slowTask, "tasks that take longer are slow, microseconds; 0: none is"
  ) { service, _, out in writeKernelNumber(service.slowTask, to: &out) }
}

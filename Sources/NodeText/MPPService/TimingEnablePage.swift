// SPDX-License-Identifier: Apache-2.0

/// The vendor's `timing_en`: other than 0 has the stages of slow tasks written into `vlog`.
enum TimingEnablePage {
  static let page = Page(
    "mpp_service/timing_en", capacity: 16, takes: .number { .setServices(.timing, $0) },
    "not 0: the stages of tasks slower than timing_check go into vlog"
  ) { writeKernelNumber($0.services.timing, to: &$1) }
}

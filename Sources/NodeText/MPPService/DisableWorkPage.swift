// SPDX-License-Identifier: Apache-2.0

/// The vendor's `disable_work`: other than 0 takes the service out of scheduling.
enum DisableWorkPage {
  static let page = ServicePage(
    "disable_work", capacity: 16, takes: .disabled, "not 0: gets no further work; what runs is done, what waits waits"
  ) { service, _, out in writeKernelNumber(service.disabled, to: &out) }
}

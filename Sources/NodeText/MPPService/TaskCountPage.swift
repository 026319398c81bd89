// SPDX-License-Identifier: Apache-2.0

/// The vendor's `task_count`: number of the last task that was begun.
enum TaskCountPage {
  static let page = ServicePage("task_count", capacity: 16, "tasks begun so far") { service, _, out in
    writeKernelNumber(UInt32(truncatingIfNeeded: service.tasks), to: &out)
  }
}

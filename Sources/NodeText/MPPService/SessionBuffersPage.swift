// SPDX-License-Identifier: Apache-2.0

/// The vendor's `session_buffers`. The vendor's is how many buffers a new session may keep imported; here it is how many the
/// pools have at least that are made from now on for pictures this service scales or converts.
enum SessionBuffersPage {
  static let page = ServicePage(
    "session_buffers", capacity: 16, takes: .poolBuffers,
    "buffers new pools of its pictures have at least, up to 60; 0: as many as they need"
  ) { service, _, out in writeKernelNumber(service.poolBuffers, to: &out) }
}

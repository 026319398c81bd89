// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

extension Errno {
  /// ENODEV, which swift-system names after what BSD prints for it.
  static var deviceGone: Errno { .operationNotSupportedByDevice }
}

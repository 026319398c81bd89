// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

extension Administrator {
  /// The module whose log level decides about an object.
  static func module(_ path: ObjectPath) -> ModuleKind { ModuleClass.of(path)?.log ?? .system }
}

// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

extension Administrator {
  /// The module whose log level decides about an object.
  static func module(_ path: ObjectPath) -> ModuleKind {
    switch path.kind {
    case .vi: .videoInput
    case .vpss: .videoProcessing
    case .venc: .encoder
    case .vdec: .decoder
    case .vo: .videoOutput
    case .rgn: .region
    case .vb: .memory
    }
  }
}

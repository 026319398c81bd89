// SPDX-License-Identifier: Apache-2.0

/// What kind of directory an object is: its class, with the outputs of a scaler group as a kind of their own.
public enum ObjectType: Sendable, Hashable, CaseIterable {
  case input, scaler, scalerOutput, encoder, decoder, display, region, pool

  public init(_ path: ObjectPath) {
    switch path.kind {
    case .vi: self = .input
    case .vpss: self = path.output == nil ? .scaler : .scalerOutput
    case .venc: self = .encoder
    case .vdec: self = .decoder
    case .vo: self = .display
    case .rgn: self = .region
    case .vb: self = .pool
    }
  }

  /// How `help` writes the path of such an object.
  public var pattern: String {
    switch self {
    case .input: "vi/N"
    case .scaler: "vpss/N"
    case .scalerOutput: "vpss/N/M"
    case .encoder: "venc/N"
    case .decoder: "vdec/N"
    case .display: "vo/N"
    case .region: "rgn/N"
    case .pool: "vb/N"
    }
  }
}

extension ObjectPath {
  public var type: ObjectType { ObjectType(self) }
}

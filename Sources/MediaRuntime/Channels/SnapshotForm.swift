// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// What a picture of a stage can be had as; the raw value is the file's name.
enum SnapshotForm: String, Sendable, CaseIterable {
  case jpeg = "snapshot.jpg"
  /// The pixels as they are, as the vendors' `save_yuv` gives them.
  case raw = "snapshot.yuv"
}

extension FrameLayout {
  /// What a file of the packed pixels holds, for `active`.
  func rawFact(bytes: Int) -> KeyValue {
    KeyValue(
      key: SnapshotForm.raw.rawValue,
      value: "\(format) \(width)x\(height), \(bytes) bytes, lines without padding; \(color)")
  }
}

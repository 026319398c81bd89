// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// Which meanings of luma and colour differences a plane knows: its properties `COLOR_ENCODING` and `COLOR_RANGE` (kernel:
/// `drm_color_mgmt.c`). One without them takes BT.601 in limited range.
struct PlaneColors {
  private struct Property {
    let id: UInt32
    /// Values of the property; `nil` where it has no such choice.
    let values: [UInt64?]
  }
  /// BT.601, BT.709, BT.2020.
  private let encoding: Property?
  /// Limited, full.
  private let range: Property?

  init(encoding: DRMProperty?, range: DRMProperty?) {
    func property(_ found: DRMProperty?, _ names: [String]) -> Property? {
      found.map { found in Property(id: found.id, values: names.map { found.choices[$0] }) }
    }
    self.encoding = property(encoding, ["ITU-R BT.601 YCbCr", "ITU-R BT.709 YCbCr", "ITU-R BT.2020 YCbCr"])
    self.range = property(range, ["YCbCr limited range", "YCbCr full range"])
  }

  private static func place(_ color: ColorDescription) -> Int? {
    switch color.matrix.rawValue {
    case 2, 5, 6: 0
    case 1: 1
    case 9: 2
    default: nil
    }
  }

  /// Whether pictures of this colour are shown right.
  func know(_ color: ColorDescription) -> Bool {
    guard let place = PlaneColors.place(color) else { return false }
    let hasEncoding = encoding.map { $0.values[place] != nil } ?? (place == 0)
    return hasEncoding && (range.map { $0.values[color.isFullRange ? 1 : 0] != nil } ?? !color.isFullRange)
  }

  /// Has the plane take its pictures so. What stands there else may be another program's.
  func set(_ color: ColorDescription, on plane: UInt32, in request: inout AtomicRequest) {
    if let encoding, let value = encoding.values[PlaneColors.place(color) ?? 0] {
      request.set(plane, encoding.id, value)
    }
    if let range, let value = range.values[color.isFullRange && color.matrix != .rgb ? 1 : 0] {
      request.set(plane, range.id, value)
    }
  }
}

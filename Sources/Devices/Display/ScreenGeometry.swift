// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// Decisions about a screen that need no device.
enum ScreenGeometry {
  /// The mode that was asked for among those the monitor takes; `nil` when it takes none such.
  ///
  /// Of several of one size the preferred one, else the fastest that is not interlaced. A rate that was given must agree
  /// to the nearest hundredth, or, given as a whole number, to the nearest whole (59.94 is 60).
  static func choose(_ wanted: DisplayMode, among modes: [DRMMode]) -> DRMMode? {
    switch wanted {
    case .preferred:
      return modes.first { $0.isPreferred } ?? modes.first
    case .size(let width, let height, let rate):
      let fitting = modes.filter { mode in
        guard mode.width == width, mode.height == height else { return false }
        guard let rate else { return true }
        return abs(mode.milliHertz - rate) <= (rate % 1000 == 0 ? 500 : 5)
      }
      func rank(_ mode: DRMMode) -> (Int, Int, Int) {
        let distance = rate.map { abs(mode.milliHertz - $0) } ?? 0
        return (mode.isInterlaced ? 0 : 1, -distance, (mode.isPreferred ? 1_000_000 : 0) + mode.milliHertz)
      }
      return fitting.max { rank($0) < rank($1) }
    }
  }

  /// The largest place in the middle of a screen that has the picture's shape, on even coordinates.
  static func fit(width: Int, height: Int, screen: (width: Int, height: Int)) -> Rectangle {
    guard width > 0, height > 0 else { return Rectangle(x: 0, y: 0, width: screen.width, height: screen.height) }
    var size = screen
    if screen.width * height <= width * screen.height {
      size.height = max(2, (screen.width * height + width / 2) / width)
    } else {
      size.width = max(2, (screen.height * width + height / 2) / height)
    }
    // Nobody sees a line more or less, but a border of one line costs a plane of its own.
    size.width = screen.width - size.width <= 2 ? screen.width : size.width & ~1
    size.height = screen.height - size.height <= 2 ? screen.height : size.height & ~1
    return Rectangle(
      x: (screen.width - size.width) / 2 & ~1, y: (screen.height - size.height) / 2 & ~1, width: size.width,
      height: size.height)
  }

  static func contains(_ screen: (width: Int, height: Int), _ part: Rectangle) -> Bool {
    part.x >= 0 && part.y >= 0 && part.width > 0 && part.height > 0 && part.x + part.width <= screen.width
      && part.y + part.height <= screen.height
  }
}

/// What the vblank numbers of successive flips say of a stream of pictures.
///
/// A picture that stays for n vblanks is repeated n - 1 times. Whether that was too long follows from the time stamps:
/// the next picture was due after their distance, rounded up to whole vblanks; every vblank beyond that was missed.
struct VblankAccount {
  private(set) var repeated: UInt64 = 0
  private(set) var missed: UInt64 = 0
  private var last: (sequence: UInt32, pts: Int64)?

  /// - Parameters:
  ///   - sequence: the vblank's number; counts modulo 2^32.
  ///   - pts: of the picture, microseconds.
  ///   - interval: from vblank to vblank, nanoseconds; 0 when unknown.
  mutating func shown(sequence: UInt32, pts: Int64, interval: Int64) {
    defer { last = (sequence, pts) }
    guard let last else { return }
    // Backwards or a jump of minutes: the count began anew.
    let held = Int64(sequence &- last.sequence)
    guard held > 0, held < 1 << 16 else { return }
    repeated += UInt64(held - 1)
    let distance = pts - last.pts
    guard interval > 0, distance > 0 else { return }
    let due = max(1, (distance * 1000 + interval - interval / 8 - 1) / interval)
    if held > due { missed += UInt64(held - due) }
  }

  /// The screen was set up anew: its count has no relation to the one before.
  mutating func restart() { last = nil }
}

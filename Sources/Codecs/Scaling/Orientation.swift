// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// A picture transform as the two steps the kernels know: the source read from the bottom up (free: a negative
/// stride), then one of four turns. Every combination of rotation, mirror and flip is one of these eight.
struct Orientation: Equatable {
  enum Turn { case none, mirror, clockwise, counterClockwise }

  var upsideDown: Bool
  var turn: Turn

  /// The picture is mirrored and flipped first, then rotated clockwise.
  init(_ transform: PictureTransform) {
    // Mirror and flip together are half a turn.
    let quarter = ((transform.rotation / 90 % 4) + 4 + (transform.mirror && transform.flip ? 2 : 0)) % 4
    let mirror = transform.mirror && !transform.flip
    let flip = transform.flip && !transform.mirror
    switch quarter {
    case 0: self.init(upsideDown: flip, turn: mirror ? .mirror : .none)
    // Half a turn is flip and mirror, so what is there already cancels.
    case 2: self.init(upsideDown: !flip, turn: mirror ? .none : .mirror)
    case 1: self.init(upsideDown: flip || mirror, turn: mirror ? .counterClockwise : .clockwise)
    default: self.init(upsideDown: flip || mirror, turn: mirror ? .clockwise : .counterClockwise)
    }
  }

  private init(upsideDown: Bool, turn: Turn) {
    self.upsideDown = upsideDown
    self.turn = turn
  }

  /// True when width and height change places.
  var swapsAxes: Bool { turn == .clockwise || turn == .counterClockwise }
}

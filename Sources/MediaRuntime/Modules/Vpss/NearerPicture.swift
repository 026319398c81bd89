// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The largest picture an output of a group has made of the frame at hand. An output that makes the same passes it on. Where another
/// one's is a half, a third or a quarter of it, that one is made of it and not of the frame: less is read, and nothing but a second rounding is
/// lost, since the mean of means of equally many is the mean.
///
/// Of the group's worker, for one frame.
struct NearerPicture: ~Copyable {
  private var frame: Frame?
  private var view = VpssPlan.View()
  /// Which output made it.
  private(set) var output = 0

  /// Keeps it where it is larger than what is kept.
  /// - Parameters:
  ///   - view: what it shows of the frame.
  ///   - incoming: the frame's layout: what is larger than that is no nearer to it.
  mutating func offer(
    _ made: borrowing Frame, _ view: VpssPlan.View, incoming: FrameLayout, by output: Int, as user: UserSlot
  ) {
    let (width, height) = (view.crop?.width ?? Int(incoming.width), view.crop?.height ?? Int(incoming.height))
    guard NearerPicture.shrinksAlike(made.layout.format), Int(made.layout.width) <= width,
      Int(made.layout.height) <= height, made.layout.width > keptWidth
    else { return }
    frame = made.share(as: user)
    self.view = view
    self.output = output
  }

  /// 4:2:0, whose chroma shrinks as luma does.
  private static func shrinksAlike(_ format: PixelFormat) -> Bool {
    format == .nv12 || format == .nv21 || format == .i420
  }

  private var keptWidth: Int32 {
    switch frame {
    case .some(let frame): frame.layout.width
    case .none: 0
    }
  }

  /// How many times larger it is than such a picture that shows the same, in both directions, 1 where it is that picture; `nil` where none can be made of it.
  func ratio(to layout: FrameLayout, _ view: VpssPlan.View) -> Int? {
    switch frame {
    case .some(let frame):
      let from = frame.layout
      guard self.view == view else { return nil }
      if from == layout { return 1 }
      // Bars are not scaled.
      guard view.place == nil else { return nil }
      let ratio = from.width / max(1, layout.width)
      let isWhole =
        from.width == layout.width * ratio && from.height == layout.height * ratio && layout.width % 2 == 0
        && layout.height % 2 == 0
      return isWhole && (2...4).contains(ratio) && from.format == layout.format && from.color == layout.color
        ? Int(ratio) : nil
    case .none: return nil
    }
  }

  /// Makes a picture of it, or passes it on.
  /// - Returns: `nil` when no buffer is free, or none is kept.
  func picture(by converter: Converter, as user: UserSlot, copied: inout Int) throws(Failure) -> Frame? {
    switch frame {
    case .some(let frame):
      if frame.layout == converter.layout { return frame.share(as: user) }
      return try converter.picture(of: frame, isPart: true, as: user, copied: &copied)
    case .none: return nil
    }
  }

  /// The frame's outputs are done.
  mutating func clear() { frame = nil }
}

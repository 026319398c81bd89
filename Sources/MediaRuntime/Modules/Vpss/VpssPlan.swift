// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// How an output makes its picture from the incoming one; made anew when settings or the incoming layout change.
struct VpssPlan {
  let incoming: FrameLayout
  let groupVersion: UInt64
  let version: UInt64
  /// The engines it was chosen from: when there are others, a better one may be among them.
  let engines: Int
  /// What it shows.
  let view: View
  /// The CPU makes it, and neither turns nor mirrors: other outputs' pictures can be made of it, and it of theirs.
  let isUpright: Bool
  /// `nil`: the buffer is passed on as it is.
  let converter: Converter?
  /// Steps of a picture that a device takes, and that the CPU takes.
  let steps: (device: Int, cpu: Int)

  /// What a picture shows of the incoming one, and where. Equal ones show the same.
  struct View: Equatable {
    /// Part of the incoming picture; `nil` for all.
    var crop: Rectangle?
    /// Where it lies in its frame; `nil` where it fills that.
    var place: Rectangle?
    /// Of the bars around it.
    var color: PaintColor?
  }

  /// - Throws: ERANGE for a part that is not inside, or too small.
  static func geometry(
    _ settings: ObjectSettings, group: ObjectSettings, incoming: FrameLayout
  ) throws(Failure) -> VpssGeometry {
    try VpssGeometry(
      incoming, group: group.part("crop"), output: settings.part("crop"),
      fit: settings.text("aspect").flatMap { PictureFit(rawValue: $0) } ?? .stretch,
      to: VpssGeometry.PictureExtent(
        width: settings.integer("width") ?? Int(incoming.width),
        height: settings.integer("height") ?? Int(incoming.height)))
  }

  /// The picture that leaves, turned pictures on their side.
  /// - Parameters:
  ///   - usual: format where the settings leave it open.
  static func layout(
    _ settings: ObjectSettings, incoming: FrameLayout, _ geometry: VpssGeometry, transform: PictureTransform,
    usual: PixelFormat?
  ) -> FrameLayout? {
    let width = settings.integer("width") ?? Int(incoming.width)
    let height = settings.integer("height") ?? Int(incoming.height)
    let format = PixelFormat(named: settings.text("format")) ?? usual ?? incoming.format
    let turned = transform.rotation % 180 != 0
    let layout = FrameLayout(format, width: turned ? height : width, height: turned ? width : height)
    guard var layout = layout?.meaning(of: incoming) else { return nil }
    // Scaled first, then turned.
    let crop = geometry.crop
    layout.aspect =
      geometry.isSquare && incoming.aspect != .unknown
      ? .square
      : incoming.aspect.scaled(
        from: (width: crop?.width ?? Int(incoming.width), height: crop?.height ?? Int(incoming.height)),
        to: (width: width, height: height))
    if turned { layout.aspect = layout.aspect.turned }
    return layout
  }

  static func transform(_ settings: ObjectSettings) -> PictureTransform {
    var transform = PictureTransform()
    transform.rotation = settings.integer("rotation") ?? 0
    transform.mirror = settings.flag("mirror")
    transform.flip = settings.flag("flip")
    return transform
  }
}

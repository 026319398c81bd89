// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// How an output makes its picture from the incoming one; made anew when settings or the incoming layout change.
///
/// Ownership: the output's plan owns the pool; the frames made from it keep their buffers.
final class VpssPlan {
  let incoming: FrameLayout
  let groupVersion: UInt64
  let version: UInt64
  /// The engines it was chosen from: when there are others, a better one may be among them.
  let engines: Int
  let crop: Rectangle?
  let transform: PictureTransform
  /// `nil`: the buffer is passed on as it is.
  let work: Work?

  struct Work {
    let layout: FrameLayout
    let pool: Pool
    let scaler: any Scaler
    /// Name of the factory the scaler is from.
    let backend: String
    /// The device frames wait for, `nil` where the CPU scales.
    let device: String?
  }

  init(
    incoming: FrameLayout, groupVersion: UInt64, version: UInt64, engines: Int, crop: Rectangle?,
    transform: PictureTransform,
    work: Work?
  ) {
    self.incoming = incoming
    self.groupVersion = groupVersion
    self.version = version
    self.engines = engines
    self.crop = crop
    self.transform = transform
    self.work = work
  }

  /// The picture that leaves, turned pictures on their side.
  /// - Parameter usual: format where the settings leave it open.
  static func layout(
    _ settings: ObjectSettings, incoming: FrameLayout, transform: PictureTransform, usual: PixelFormat?
  ) -> FrameLayout? {
    let width = settings.integer("width") ?? Int(incoming.width)
    let height = settings.integer("height") ?? Int(incoming.height)
    let format = PixelFormat(named: settings.text("format")) ?? usual ?? incoming.format
    let turned = transform.rotation % 180 != 0
    return FrameLayout(format, width: turned ? height : width, height: turned ? width : height)
  }

  static func transform(_ settings: ObjectSettings) -> PictureTransform {
    var transform = PictureTransform()
    transform.rotation = settings.integer("rotation") ?? 0
    transform.mirror = settings.flag("mirror")
    transform.flip = settings.flag("flip")
    return transform
  }
}

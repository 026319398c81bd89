// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// Decides what an encoder is asked for each frame. Used by one worker at a time.
protocol RateController: AnyObject {
  /// Takes over the settings; before the first frame and whenever they change.
  func configure(_ configuration: EncoderConfiguration)
  /// What to ask for the next frame.
  /// - Parameter wantsKey: somebody asked for a key frame, or the stream begins.
  func directive(wantsKey: Bool) -> EncodeDirective
  /// What came of it.
  func coded(_ picture: CodedPicture, bytes: Int)
}

/// Leaves everything to the engine: bitrate, gop and frame rate go to it with the configuration.
final class EngineOwn: RateController {
  func configure(_ configuration: EncoderConfiguration) {}
  func directive(wantsKey: Bool) -> EncodeDirective { EncodeDirective(type: wantsKey ? .idr : nil) }
  func coded(_ picture: CodedPicture, bytes: Int) {}
}

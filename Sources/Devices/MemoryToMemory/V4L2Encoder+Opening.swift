// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

extension V4L2Encoder {
  /// Sets the queue that gives coded pictures.
  static func setCoded(_ instance: M2MInstance, _ configuration: EncoderConfiguration) throws(Failure) -> VideoFormat {
    // The size of a coded buffer is a wish; s5p-mfc has none of its own. A picture that does not fit comes out as damaged, so
    // it is as large as a raw one, but at most 4 MiB.
    let size = min(max(256 * 1024, configuration.width * configuration.height * 3 / 2), 4 << 20)
    let (type, codec) = (instance.capture, configuration.codec)
    return try instance.set(
      VideoFormat(
        type: type, fourcc: try instance.fourcc(type, of: codec, toBe: "make"), width: configuration.width,
        height: configuration.height, planes: [.init(size: size)]), of: codec, toBe: "make")
  }
}

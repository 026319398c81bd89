// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization
import SystemPackage

/// Decodes the JPEG pictures of cameras with libturbojpeg (BSD).
struct TurboJPEGConverterFactory: PictureConverterFactory {
  var name: String { "libturbojpeg" }
  var inputs: [PixelFormat] { [.mjpeg] }
  var outputs: [PixelFormat] { [.i420, .nv12] }

  func open(_ input: FrameLayout, to output: PixelFormat) throws(Failure) -> any PictureConverter {
    guard input.format == .mjpeg, outputs.contains(output),
      var layout = FrameLayout(output, width: Int(input.width), height: Int(input.height))
    else {
      throw Failure(.notSupported, "open", on: name, "\(input.format) \(input.width)x\(input.height) to \(output)")
    }
    (layout.color, layout.aspect) = (.jfif, input.aspect)
    return try TurboJPEGConverter(layout)
  }
}

private final class TurboJPEGConverter: PictureConverter {
  let layout: FrameLayout
  private let decompressor: Mutex<JPEGDecompressor>

  init(_ layout: FrameLayout) throws(Failure) {
    self.layout = layout
    self.decompressor = Mutex(try JPEGDecompressor())
  }

  var engine: String { "lib\(JPEGCompressor.engine)" }
  var remark: String { "" }

  func convert(_ input: borrowing Frame, into output: borrowing Frame) throws(Failure) -> Int {
    let memory = input.buffer.memory
    let (start, count) = (Int(input.layout.plane0.offset), input.layout.plane0.byteCount)
    guard start >= 0, count > 0, start + count <= memory.size else {
      throw Failure(.illegalByteSequence, "decode", on: "JPEG picture", "\(count) bytes at \(start) of \(memory.size)")
    }
    let bytes = UnsafeRawBufferPointer(start: try memory.map() + start, count: count)
    let pixels = try output.beginPixels(write: true)
    defer { try? output.endPixels(write: true) }
    try memory.beginCPUAccess(write: false)
    defer { try? memory.endCPUAccess(write: false) }
    return try decompressor.withLock { (decompressor: inout JPEGDecompressor) throws(Failure) -> Int in
      try decompressor.decompress(bytes, to: pixels)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import CTurboJPEG
import Glibc
import MediaCore

/// Owner of one compressor of libturbojpeg and of the memory for its pictures. Serial use.
///
/// The output memory is sized for the worst case once for each picture size, so the library never grows it; pages it
/// does not reach are never touched.
struct JPEGCompressor: ~Copyable {
  private let handle: tjhandle
  private var output: UnsafeMutablePointer<UInt8>?
  private var capacity = 0
  private var y = Scratch()
  private var u = Scratch()
  private var v = Scratch()
  private let converter = PixelConverter()

  /// `turbojpeg 2.1.5`
  static var engine: String {
    let version = String(cString: mpifs_turbojpeg_version())
    return version.isEmpty ? "turbojpeg" : "turbojpeg \(version)"
  }

  init() throws(Failure) {
    guard let handle = tjInitCompress() else { throw Failure(.noMemory, "tjInitCompress", on: "turbojpeg") }
    self.init(handle)
  }

  /// Throws nothing: Swift 6.2 loses track of what a half-made value owns, and its compiler ends.
  private init(_ handle: tjhandle) { self.handle = handle }

  deinit {
    tjDestroy(handle)
    free(output)
  }

  /// Compresses the samples as they are: no colour conversion, only NV12's chroma is taken apart.
  ///
  /// - Parameter quality: 1...100.
  /// - Returns: the JPEG, valid until the next call.
  mutating func compressSamples(_ pixels: Pixels, quality: Int) throws(Failure) -> UnsafeRawBufferPointer {
    try compress(pixels, as: pixels.color, quality: quality)
  }

  /// Compresses with the colours a viewer expects: JPEG files are BT.601 in full range, and so becomes what is not.
  mutating func compressColours(_ pixels: Pixels, quality: Int) throws(Failure) -> UnsafeRawBufferPointer {
    try compress(pixels, as: .jfif, quality: quality)
  }

  private mutating func compress(
    _ pixels: Pixels, as color: ColorDescription, quality: Int
  ) throws(Failure) -> UnsafeRawBufferPointer {
    let planes = try even420(pixels, as: color)
    return try compress(width: pixels.width, height: pixels.height) { handle, buffer, size, flags in
      withUnsafeTemporaryAllocation(of: UnsafePointer<UInt8>?.self, capacity: 3) { bases in
        bases[0] = UnsafePointer(planes.plane0.base)
        bases[1] = UnsafePointer(planes.plane1.base)
        bases[2] = UnsafePointer(planes.plane2.base)
        var strides = (CInt(planes.plane0.stride), CInt(planes.plane1.stride), CInt(planes.plane2.stride))
        return withUnsafeMutablePointer(to: &strides) { tuple in
          tuple.withMemoryRebound(to: CInt.self, capacity: 3) { strides in
            tjCompressFromYUVPlanes(
              handle, bases.baseAddress, CInt(pixels.width), strides, CInt(pixels.height), CInt(TJSAMP_420.rawValue),
              buffer, size, CInt(quality), flags)
          }
        }
      }
    }
  }

  private mutating func compress(
    width: Int, height: Int,
    _ body: (tjhandle, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, UnsafeMutablePointer<UInt>, CInt) -> CInt
  ) throws(Failure) -> UnsafeRawBufferPointer {
    let needed = Int(tjBufSize(CInt(width), CInt(height), CInt(TJSAMP_420.rawValue)))
    if needed > capacity {
      free(output)
      capacity = 0
      output = malloc(needed)?.assumingMemoryBound(to: UInt8.self)
      guard output != nil else { throw Failure(.noMemory, "malloc", on: "turbojpeg", "\(needed) bytes") }
      capacity = needed
    }
    var buffer = output
    var size = UInt(capacity)
    guard body(handle, &buffer, &size, CInt(TJFLAG_NOREALLOC)) == 0, let buffer else {
      throw Failure(.ioError, "tjCompress", on: "turbojpeg", String(cString: tjGetErrorStr2(handle)))
    }
    return UnsafeRawBufferPointer(start: buffer, count: Int(size))
  }

  /// I420 planes whose luma has an even number of columns and lines, as the library reads them: the picture itself
  /// when it is I420 of even size and of this colour, else a copy with its last column and line repeated.
  private mutating func even420(_ p: Pixels, as color: ColorDescription) throws(Failure) -> Pixels {
    let isWhole = p.width % 2 == 0 && p.height % 2 == 0 && p.color.hasSameSamples(as: color)
    if isWhole, p.format == .i420 { return p }
    let (width, height) = (p.chromaWidth * 2, p.chromaHeight * 2)
    var target = Pixels(
      format: .i420, width: p.width, height: p.height, plane0: p.plane0,
      plane1: try u.plane(bytes: p.chromaWidth, lines: p.chromaHeight),
      plane2: try v.plane(bytes: p.chromaWidth, lines: p.chromaHeight), color: color)
    if isWhole, p.format == .nv12 {
      // Only the chroma has to move.
      converter.split(p, u: target.plane1, v: target.plane2)
      return target
    }
    target.plane0 = try y.plane(bytes: width, lines: height)
    _ = try converter.convert(p, Orientation(PictureTransform()), to: target)
    let (luma, stride) = (target.plane0.base, Int(target.plane0.stride))
    if width > p.width {
      for row in 0..<p.height { luma[row * stride + p.width] = luma[row * stride + p.width - 1] }
    }
    if height > p.height { memcpy(luma + p.height * stride, luma + (p.height - 1) * stride, width) }
    return target
  }
}

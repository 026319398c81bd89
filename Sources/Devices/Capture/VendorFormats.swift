// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
public import MediaCore
import Synchronization
internal import SystemPackage

/// What cameras give that only libv4lconvert knows: the mosaic of a bare sensor, gray, the packings of old USB chips.
public struct VendorConverterFactory: PictureConverterFactory {
  public init() {}
  public var name: String { "libv4lconvert" }
  public var inputs: [PixelFormat] { VendorFormat.all.map(\.format) }
  public var outputs: [PixelFormat] { [.i420] }

  public func open(_ input: FrameLayout, to output: PixelFormat) throws(Failure) -> any PictureConverter {
    guard let format = VendorFormat.all.first(where: { $0.format == input.format }), output == .i420,
      input.width % 2 == 0, input.height % 2 == 0, input.width >= 16, input.height >= 16,
      // The library's planes follow each other without gaps.
      var layout = FrameLayout(.i420, width: Int(input.width), height: Int(input.height), alignment: 1)
    else {
      throw Failure(.notSupported, "open", on: name, "\(input.format) \(input.width)x\(input.height) to \(output)")
    }
    // Of a mosaic and of RGB the library makes BT.601; the other packings keep their samples.
    layout.color = format.isYUV ? input.color : input.color.sampled(as: .bt601)
    layout.aspect = input.aspect
    return try VendorPictures(format, input, layout)
  }
}

/// A format of libv4lconvert 1.22 and how many bytes of a picture it reads.
private struct VendorFormat {
  var format: PixelFormat
  /// Least bits a pixel that a whole picture has; 0 for compressed ones, whose decoders watch their input.
  var bits: Int

  /// Luma and colour differences.
  var isYUV: Bool { bits == 12 || [PixelFormat("YVYU"), PixelFormat("NV61")].contains(format) }

  init(_ code: StaticString, bits: Int) {
    self.format = PixelFormat(code)
    self.bits = bits
  }

  static let all: [VendorFormat] = [
    // Bayer, 8, 10 (in 16 and packed) and 16 bits
    VendorFormat("BA81", bits: 8), VendorFormat("GBRG", bits: 8), VendorFormat("GRBG", bits: 8),
    VendorFormat("RGGB", bits: 8), VendorFormat("BG10", bits: 16), VendorFormat("GB10", bits: 16),
    VendorFormat("BA10", bits: 16), VendorFormat("RG10", bits: 16), VendorFormat("pBAA", bits: 10),
    VendorFormat("pGAA", bits: 10), VendorFormat("pgAA", bits: 10), VendorFormat("pRAA", bits: 10),
    VendorFormat("BYR2", bits: 16), VendorFormat("RG16", bits: 16),
    // Gray
    VendorFormat("GREY", bits: 8), VendorFormat("Y16 ", bits: 16), VendorFormat("Y10B", bits: 10),
    // YUV
    VendorFormat("YVYU", bits: 16), VendorFormat("YV12", bits: 12), VendorFormat("NV61", bits: 16),
    VendorFormat("HM12", bits: 12), VendorFormat("M420", bits: 12),
    // RGB
    VendorFormat("RGBP", bits: 16), VendorFormat("BGR3", bits: 24), VendorFormat("RGB4", bits: 32),
    VendorFormat("BGR4", bits: 32),
    // USB chips, uncompressed
    VendorFormat("S501", bits: 12), VendorFormat("S505", bits: 12), VendorFormat("S508", bits: 12),
    VendorFormat("S920", bits: 12), VendorFormat("KONI", bits: 12),
    // and compressed
    VendorFormat("S561", bits: 0), VendorFormat("P207", bits: 0), VendorFormat("M310", bits: 0),
    VendorFormat("905C", bits: 0), VendorFormat("PJPG", bits: 0), VendorFormat("S910", bits: 0),
    VendorFormat("SONX", bits: 0), VendorFormat("JPGL", bits: 0), VendorFormat("CPIA", bits: 0),
  ]
}

private final class VendorPictures: PictureConverter {
  let layout: FrameLayout
  private let fourcc: FourCC
  private let bytesPerLine: Int
  private let leastBytes: Int
  private let converter: Mutex<VendorConverter>

  init(_ format: VendorFormat, _ input: FrameLayout, _ layout: FrameLayout) throws(Failure) {
    self.layout = layout
    self.fourcc = FourCC(rawValue: format.format.rawValue)
    let (width, height) = (Int(input.width), Int(input.height))
    // A driver that tells no bytes a line has lines without gaps.
    let tight = width * (format.bits == 12 ? 8 : format.bits) / 8
    let told = input.plane0.lines > 1 ? Int(input.plane0.stride) : 0
    bytesPerLine = format.bits == 0 ? told : max(told, tight)
    leastBytes =
      format.bits == 0 ? 1 : format.bits == 12 ? max(bytesPerLine, width) * height * 3 / 2 : bytesPerLine * height
    converter = Mutex(try asFailure { () throws(KernelError) in try VendorConverter() })
  }

  var engine: String { "libv4lconvert" }
  var remark: String { "" }

  func convert(_ input: borrowing Frame, into output: borrowing Frame) throws(Failure) -> Int {
    let (source, target) = (input.buffer.memory, output.buffer.memory)
    let (start, count) = (Int(input.layout.plane0.offset), input.layout.plane0.byteCount)
    guard start >= 0, count >= leastBytes, start + count <= source.size, target.size >= layout.byteCount else {
      throw Failure(
        .illegalByteSequence, "convert", on: "\(input.layout.format) picture", "\(count) bytes of \(leastBytes)")
    }
    let from = UnsafeRawBufferPointer(start: try source.map() + start, count: count)
    let to = UnsafeMutableRawBufferPointer(start: try target.map(), count: layout.byteCount)
    try source.beginCPUAccess(write: false)
    defer { try? source.endCPUAccess(write: false) }
    try target.beginCPUAccess(write: true)
    defer { try? target.endCPUAccess(write: true) }
    let error: KernelError? = converter.withLock { converter in
      do throws(KernelError) {
        try converter.convert(
          fourcc, width: Int(layout.width), height: Int(layout.height), bytesPerLine: bytesPerLine, from, to: to)
        return nil
      } catch {
        return error
      }
    }
    if let error {
      throw Failure(.illegalByteSequence, "convert", on: "\(input.layout.format) picture", error.operation)
    }
    return layout.byteCount
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// Size, format and planes of a queue's buffers. Always an array of planes, whatever the device's own layout is.
public struct VideoFormat: Sendable, Equatable {
  public struct Plane: Sendable, Equatable {
    /// Bytes from one line to the next; 0 for compressed data, or to let the driver choose.
    public var bytesPerLine: Int
    /// Bytes the buffer must hold; 0 lets the driver choose.
    public var size: Int
    public init(bytesPerLine: Int = 0, size: Int = 0) {
      self.bytesPerLine = bytesPerLine
      self.size = size
    }
  }

  /// How the colours are coded; the numbers of `videodev2.h`, 0 is "default".
  public struct Color: Sendable, Equatable {
    public var space: UInt32 = 0
    public var encoding: UInt32 = 0
    public var quantization: UInt32 = 0
    public var transfer: UInt32 = 0
    public init() {}
  }

  public var type: BufferType
  public var fourcc: FourCC
  public var width: Int
  public var height: Int
  /// Memory planes: NV12 has one, NV12M two.
  public var planes: [Plane]
  /// `V4L2_FIELD_`: 0 any, 1 progressive.
  public var field: UInt32
  public var color: Color

  public init(
    type: BufferType, fourcc: FourCC, width: Int, height: Int, planes: [Plane] = [], field: UInt32 = 1,
    color: Color = Color()
  ) {
    self.type = type
    self.fourcc = fourcc
    self.width = width
    self.height = height
    self.planes = planes
    self.field = field
    self.color = color
  }

  init(_ format: v4l2_format, type: BufferType) {
    var flat = mpifs_format()
    withUnsafePointer(to: format) { mpifs_format_from_kernel($0, &flat) }
    self.init(
      type: type, fourcc: FourCC(rawValue: flat.pixelformat), width: Int(flat.width), height: Int(flat.height),
      field: flat.field)
    color.space = flat.colorspace
    color.encoding = flat.ycbcr_enc
    color.quantization = flat.quantization
    color.transfer = flat.xfer_func
    planes = (0..<flat.num_planes).map { index in
      let plane = mpifs_format_plane(&flat, index)
      return Plane(bytesPerLine: Int(plane.bytesperline), size: Int(plane.sizeimage))
    }
  }

  var kernelFormat: v4l2_format {
    var flat = mpifs_format()
    flat.type = type.rawValue
    flat.width = UInt32(clamping: width)
    flat.height = UInt32(clamping: height)
    flat.pixelformat = fourcc.rawValue
    flat.field = field
    flat.colorspace = color.space
    flat.ycbcr_enc = color.encoding
    flat.quantization = color.quantization
    flat.xfer_func = color.transfer
    flat.num_planes = UInt32(min(planes.count, Int(MPIFS_MAX_PLANES)))
    for (index, plane) in planes.prefix(Int(MPIFS_MAX_PLANES)).enumerated() {
      mpifs_format_set_plane(
        &flat, UInt32(index),
        mpifs_plane_format(bytesperline: UInt32(clamping: plane.bytesPerLine), sizeimage: UInt32(clamping: plane.size)))
    }
    var out = v4l2_format()
    mpifs_format_to_kernel(&flat, &out)
    return out
  }
}

extension V4L2Device {
  /// The queue's format now.
  public func format(of type: BufferType) throws(KernelError) -> VideoFormat {
    var argument = v4l2_format()
    argument.type = type.rawValue
    try control("VIDIOC_G_FMT", mpifs_VIDIOC_G_FMT, &argument)
    return VideoFormat(argument, type: type)
  }

  /// Sets the format.
  /// - Returns: what the driver made of it, which is what is in force.
  /// - Throws: EBUSY while buffers are allocated.
  public func setFormat(_ format: VideoFormat) throws(KernelError) -> VideoFormat {
    var argument = format.kernelFormat
    try control("VIDIOC_S_FMT", mpifs_VIDIOC_S_FMT, &argument)
    return VideoFormat(argument, type: format.type)
  }

  /// What the driver would make of the format, without setting it.
  public func tryFormat(_ format: VideoFormat) throws(KernelError) -> VideoFormat {
    var argument = format.kernelFormat
    try control("VIDIOC_TRY_FMT", mpifs_VIDIOC_TRY_FMT, &argument)
    return VideoFormat(argument, type: format.type)
  }
}

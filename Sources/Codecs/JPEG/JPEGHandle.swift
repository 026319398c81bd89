// SPDX-License-Identifier: Apache-2.0
import CTurboJPEG
import MediaCore

/// Owner of one decompressor of libturbojpeg. Serial use.
struct JPEGHandle: ~Copyable {
  private var pointer: tjhandle

  init() throws(Failure) {
    guard let made = tjInitDecompress() else { throw Failure(.noMemory, "tjInitDecompress", on: "turbojpeg") }
    pointer = made
  }

  deinit { tjDestroy(pointer) }

  /// Makes the decompressor anew: after a damaged picture the library may be left in the middle of it, and would take up
  /// the next one there. Keeps the old one where there is no memory for another.
  mutating func restart() {
    guard let fresh = tjInitDecompress() else { return }
    tjDestroy(pointer)
    pointer = fresh
  }

  /// What the library said last.
  var message: String { String(cString: tjGetErrorStr2(pointer)) }
  /// It was a warning: the picture is whole, if not in every block right.
  var isWarning: Bool { tjGetErrorCode(pointer) == CInt(TJERR_WARNING.rawValue) }

  struct Header {
    var width: CInt = 0
    var height: CInt = 0
    var subsampling: CInt = 0
    var colours: CInt = 0
  }

  /// - Returns: whether the library found nothing to say.
  func read(_ header: inout Header, of bytes: UnsafeRawBufferPointer) -> Bool {
    let data = bytes.bindMemory(to: UInt8.self)
    return tjDecompressHeader3(
      pointer, data.baseAddress, UInt(data.count), &header.width, &header.height, &header.subsampling,
      &header.colours) == 0
  }

  /// Decodes the samples as they are coded.
  /// - Returns: whether the library found nothing to say.
  func decode(
    _ bytes: UnsafeRawBufferPointer, _ header: Header, _ a: PlanePointer, _ b: PlanePointer, _ c: PlanePointer
  ) -> Bool {
    let data = bytes.bindMemory(to: UInt8.self)
    return withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<UInt8>?.self, capacity: 3) { planes in
      (planes[0], planes[1], planes[2]) = (a.base, b.base, c.base)
      var strides = (a.stride, b.stride, c.stride)
      return withUnsafeMutablePointer(to: &strides) { tuple in
        tuple.withMemoryRebound(to: CInt.self, capacity: 3) { strides in
          tjDecompressToYUVPlanes(
            pointer, data.baseAddress, UInt(data.count), planes.baseAddress, header.width, strides, header.height, 0)
            == 0
        }
      }
    }
  }
}

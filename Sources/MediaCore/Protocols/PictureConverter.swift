// SPDX-License-Identifier: Apache-2.0

/// Makes raw pictures of what an input gives and the graph cannot work on: JPEG pictures, a sensor's mosaic, a vendor's
/// packing. Serial use by the channel that owns it; the read-only properties from any thread.
public protocol PictureConverter: AnyObject, Sendable {
  /// Library and version: `libturbojpeg 2.1.5`.
  var engine: String { get }
  /// What else happens to the picture, for `active`; empty where nothing does.
  var remark: String { get }
  /// What comes out.
  var layout: FrameLayout { get }

  /// Fills `output`, which has ``layout``, from `input`.
  ///
  /// The bytes of a compressed picture are those of the input layout's first plane.
  /// - Returns: bytes of pixels the CPU wrote.
  /// - Throws: EILSEQ when the picture is damaged, which says nothing about the next one.
  func convert(_ input: borrowing Frame, into output: borrowing Frame) throws(Failure) -> Int
}

/// Makes converters of one library; registered by the program.
public protocol PictureConverterFactory: Sendable {
  /// `libturbojpeg`
  var name: String { get }
  /// What it takes.
  var inputs: [PixelFormat] { get }
  /// What it can make of it, best first.
  var outputs: [PixelFormat] { get }
  /// - Parameter input: as the input announced it; for uncompressed pictures the first plane has the bytes a line.
  /// - Throws: ENOTSUP for a format or size it does not take, ENOMEM.
  func open(_ input: FrameLayout, to output: PixelFormat) throws(Failure) -> any PictureConverter
}

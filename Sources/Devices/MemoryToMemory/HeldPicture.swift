// SPDX-License-Identifier: Apache-2.0
internal import MediaCore

/// A place for the picture that a buffer of a device's queue was given: it is not let go before the device has let go of it.
/// Made once for each buffer.
final class HeldPicture {
  var ref: BufferRef?
  init(_ ref: consuming BufferRef? = nil) { self.ref = ref }
}

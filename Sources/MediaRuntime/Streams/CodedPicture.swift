// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// What a coded picture is, read from its own bytes.
struct CodedPicture: Sendable, Equatable {
  var type: PictureType = .p
  /// QP of the first slice, or `nil` where the coding has none.
  var qp: Int?
  /// The quantiser that was asked for, of engines whose header has that of the first block alone.
  var asked: Int?
  /// Quality factor of a JPEG picture.
  var quality: Int?
  /// `nil` where the coding has none.
  var slices: Int?
  /// An IDR picture, or one of the kind: what came before is not needed from here on.
  var isKey = false
  /// What the stream says of beginning here, as ``PictureInfo/recoversAfter``.
  var recoversAfter: Int?
  /// As ``PictureInfo/isVirtualKey``.
  var isVirtualKey = false
  var hasParameterSets = false
  /// What goes before the picture in a stream of such pictures.
  var framing: IVF?
}

extension CodedPicture {
  /// A reader can start here: it gets whole pictures at once, or after as many as the stream itself says.
  var isJoiningPoint: Bool { isKey || recoversAfter != nil }
  /// It begins a group of pictures.
  var beginsGroup: Bool { isJoiningPoint || isVirtualKey }
}

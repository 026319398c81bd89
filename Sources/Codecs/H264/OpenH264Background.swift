// SPDX-License-Identifier: Apache-2.0
import COpenH264

/// How a picture of openh264 comes to be predicted from the background alone, with `gop_mode` `smartp`.
///
/// The library keeps each key picture as a long-term reference and, since nobody confirms another one, predicts from it when a receiver
/// says that it has lost pictures (`FilterLTRRecoveryRequest`, `WelsBuildRefList`). It is told so at the beginning of each group. A
/// request counts for the key picture it names only.
struct OpenH264Background {
  /// `idr_pic_id` of the last key picture: the library counts them from 1, and from 0 again after 65535.
  private var key: UInt32 = 0

  /// That nothing has come since the background.
  var request: SLTRRecoverRequest {
    SLTRRecoverRequest(
      uiFeedbackType: UInt32(LTR_RECOVERY_REQUEST.rawValue), uiIDRPicId: key, iLastCorrectFrameNum: 0,
      iCurrentFrameNum: -1, iLayerId: 0)
  }

  mutating func coded(isKey: Bool) {
    if isKey { key = key < 65535 ? key + 1 : 0 }
  }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux

/// What one driver has and does otherwise than another.
extension M2MFakeDevice {
  struct Control {
    var type: UInt32 = 1
    var minimum: Int64 = 0
    var maximum: Int64 = 100_000_000
    var usual: Int64 = 0
    var menu: [String] = []
  }

  struct Switches {
    var driver = "fake"
    var coded: [UInt32] = [mpifs_V4L2_PIX_FMT_H264]
    var raw: [UInt32] = [mpifs_V4L2_PIX_FMT_NV12]
    /// Lines are coded in blocks of so many.
    var lineBlock: UInt32 = 1
    var controls: [UInt32: Control] = [:]
    /// Listed, and refused when they are set.
    var refused: [UInt32: CInt] = [:]
    /// EBUSY while streaming, as allegro.
    var grabsControls = false
    /// The control that writes pass, whatever was asked, is this one's maximum.
    var hasCommands = true
    var keepsTime = true
    var importErrno: CInt?
    /// Pictures are coded only when the test says so.
    var isManual = false
    /// By another thread of the test, for which who waits has time.
    var isWorkedOn = false
    /// Nothing comes out, and closing waits.
    var hangs = false
    var damagesNext = false
    /// A damaged picture comes with no bytes, as mtk-vcodec's.
    var damagedIsEmpty = false
    /// Only the frame comes back, marked.
    var damagesFrameOnly = false
    /// REQBUFS 0 is refused once.
    var refusesRelease = false
    var failsDequeue: CInt?
    var hasSelection = true
    /// What a picture is by its number, where that matters.
    var picture: (@Sendable (_ number: Int) -> [UInt8])?
    /// Bytes of a picture, by its number and the controls it was coded with.
    var size: @Sendable (_ number: Int, _ values: [UInt32: Int64]) -> Int = { _, _ in 300 }
  }
}

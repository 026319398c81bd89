// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

@Suite(.ownThread) struct PictureLookTests {
  private func look(_ look: inout PictureLook, _ sample: (Int, Int) -> UInt8) -> PictureActivity? {
    let pixels = (0..<320 * 240).map { sample($0 % 320, $0 / 320) }
    return pixels.withUnsafeBufferPointer { buffer in
      buffer.baseAddress.flatMap { look.look(at: $0, stride: 320, width: 320, height: 240) }
    }
  }

  @Test func theFirstPictureHasNoDifferenceAndTheSameOneAgainNone() {
    var eye = PictureLook()
    #expect(look(&eye) { _, _ in 80 } == PictureActivity(difference: nil, texture: 0))
    #expect(look(&eye) { _, _ in 80 } == PictureActivity(difference: 0, texture: 0))
    #expect(look(&eye) { _, _ in 110 } == PictureActivity(difference: 30, texture: 0))
  }

  @Test func textureIsTheChangeAlongALine() {
    var eye = PictureLook()
    #expect(look(&eye) { x, _ in UInt8(x / 2 % 64) }?.texture ?? 0 > 0.9)
    #expect(look(&eye) { _, y in UInt8(y) }?.texture == 0)
  }

  @Test func picturesSmallerThanTheGridAreNotLookedAt() {
    var eye = PictureLook()
    let pixels = [UInt8](repeating: 0, count: 64 * 64)
    #expect(
      pixels.withUnsafeBufferPointer { $0.baseAddress.flatMap { eye.look(at: $0, stride: 64, width: 64, height: 64) } }
        == nil)
  }
}

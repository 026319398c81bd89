// SPDX-License-Identifier: Apache-2.0
import LinuxMedia
import TestSupport
import Testing

@Suite(.ownThread) struct CodecDrainTests {
  @Test func picturesComeUntilTheOneMarkedLast() {
    var drain = CodecDrain()
    let answer1 = drain.stopped(.accepted, bothStreaming: true)
    #expect(!answer1)
    #expect(drain.state == .draining)
    let answer2 = drain.took(bytes: 100, flags: [])
    #expect(answer2)
    #expect(drain.state == .draining)
    // The end of a decoder's drain: the last picture carries the mark itself.
    let answer3 = drain.took(bytes: 100, flags: .last)
    #expect(answer3)
    #expect(drain.state == .drained)
  }

  @Test func anEmptyLastIsNoPicture() {
    var drain = CodecDrain()
    _ = drain.stopped(.accepted, bothStreaming: true)
    let answer4 = drain.took(bytes: 0, flags: [.last, .copiedTime])
    #expect(!answer4)
    #expect(drain.state == .drained)
  }

  @Test func theEndOfTheQueueAloneIsEnough() {
    var drain = CodecDrain()
    _ = drain.stopped(.accepted, bothStreaming: true)
    drain.ended()
    #expect(drain.state == .drained)
    drain.resumed()
    #expect(drain.state == .running)
  }

  @Test func aStopBeforeStreamingIsAcceptedAndDoesNothing() {
    var drain = CodecDrain()
    let answer5 = drain.stopped(.accepted, bothStreaming: false)
    #expect(!answer5)
    #expect(drain.state == .drained)
  }

  @Test func aSecondStopChangesNothing() {
    var drain = CodecDrain()
    _ = drain.stopped(.accepted, bothStreaming: true)
    let before = drain
    let answer6 = drain.stopped(.busy, bothStreaming: true)
    #expect(!answer6)
    #expect(drain == before)
  }

  @Test func aDriverWithoutTheCommandIsStoppedByItsQueue() {
    var drain = CodecDrain()
    let answer7 = drain.stopped(.unsupported, bothStreaming: true)
    #expect(answer7)
    #expect(drain.state == .drained)
  }
}

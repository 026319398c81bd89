// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import Reports
import SystemPackage

/// What is lost, damaged or left out, and how it is told.
extension VdecRun {
  /// Whether a unit is given to the decoder, or left out while there is nothing the decoder could begin with.
  func hasEntered(_ info: VdecWork.Reading, _ name: DroppedFrame, _ codec: Codec) -> Bool {
    if info.isFrame, work.value.entry.pictures == VdecRun.hopeful, !work.value.entry.isRecovering {
      complainOfEntry(codec)
    }
    guard work.value.waitsForKey else {
      // Of what the group before was lost with, nothing is made by whoever wants a key picture.
      guard info.picture.isLeading, info.isHurt, engine.decoder?.entry != .anywhere else { return true }
      node.work.drop(.flushed, name)
      counters.waitedForKey()
      return false
    }
    let canBegin =
      switch engine.decoder?.entry {
      case .anywhere: info.picture.slices > 0 && !info.picture.lacksParameterSets
      default: info.isEntry
      }
    guard canBegin || work.value.keyMissed >= VdecRun.keyPatience else {
      work.value.needsSets = true
      guard info.isFrame else { return false }
      work.value.keyMissed += 1
      node.work.drop(work.value.isBroken ? .deviceError : .flushed, name)
      counters.waitedForKey()
      if work.value.keyMissed == VdecRun.hopeful { complainOfEntry(codec) }
      return false
    }
    work.value.waitsForKey = false
    work.value.keyMissed = 0
    work.value.isBroken = false
    return true
  }

  private func complainOfEntry(_ codec: Codec) {
    guard work.value.picturesOfStream == 0 else { return }
    if let why = work.value.entry.reason(codec) { complain(why, as: codec) }
  }

  /// A unit that was given to the decoder comes to nothing: because of what it refers to, or because of the decoder.
  func leaveOut(_ name: DroppedFrame, _ unit: UnitLedger.Unit) {
    node.work.drop(unit.isHurt ? .flushed : .deviceError, name)
    if unit.isHurt { counters.waitedForKey() }
  }

  /// What a loss that was told of means for what comes.
  func settleLoss(_ codec: Codec) {
    guard let loss = work.value.loss, let decoder = engine.decoder else { return }
    work.value.loss = nil
    if !isStopping { failed(loss.why, decoder, codec, isOver: loss.isOver) }
  }

  /// A unit came to nothing.
  /// - Parameters:
  ///   - picture: what it was, where that is known.
  ///   - isOver: a key picture has come since.
  func failed(
    _ failure: Failure, _ decoder: any Decoder, _ codec: Codec, _ picture: PictureInfo? = nil, isOver: Bool = false
  ) {
    let goesOn =
      switch decoder.entry {
      case .keyPictures: false
      case .keyPictureOnce: engine.pictures > 0
      case .anywhere: true
      }
    if goesOn, failure.errno == .illegalByteSequence {
      if picture?.isReference ?? true { work.value.entry.hurt() }
    } else {
      // After a gap the pictures that refer to it would be wrong.
      work.value.waitsForKey = !work.value.standsAlone && !isOver
      work.value.isBroken = !isOver
    }
    work.value.failures += 1
    work.value.lastFailure = failure
    switch failure.errno {
    case .illegalByteSequence:
      counters.damagedUnit()
      if work.value.failures == 1 {
        let how = goesOn || work.value.standsAlone ? "with what the next ones are" : "at the next key picture"
        channel.log(.warning, "\(node.path): \(failure); going on \(how)")
      }
      if work.value.failures == VdecRun.patience { complain("\(failure)", as: codec) }
    // Another decoder of this engine would say the same.
    case .notSupported: report(failure)
    case .noBufferSpace:
      if work.value.failures == 1 { channel.log(.warning, "\(node.path): \(failure)") }
    default:
      report(failure)
      guard decoder.isBroken || work.value.failures >= VdecRun.patience else { return }
      let outcome = engine.worksByItself ? TaskOutcome(failure) : nil
      engine.giveUp()
      lose(outcome)
      counters.reopened()
    }
  }

  /// The stream is not what it should be: says so in `state` and the error log, until a picture comes.
  func complain(_ why: String, as codec: Codec?) {
    let name = codec.map { " as \($0)" } ?? ""
    report(Failure(Errno(rawValue: EBADMSG), "decode", on: "\(summary)\(name)", why))
  }

  var mayReport: Bool { !work.value.isReported || work.value.isReportOld }

  func report(_ failure: Failure) {
    guard mayReport else { return }
    (work.value.isReported, work.value.isReportOld) = (true, false)
    channel.fails(failure)
  }
}

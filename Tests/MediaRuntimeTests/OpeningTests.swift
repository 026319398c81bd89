// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

private func errno(_ body: () throws -> Void) -> Errno? {
  do {
    try body()
    return nil
  } catch { return (error as? Failure)?.errno }
}

/// Opening a file or device that may hang.
@Suite(.ownThread) struct OpeningTests {
  /// Says when it goes.
  private final class Handle: Sendable {
    private let gone: Atomic<Bool>.Box
    init(_ gone: Atomic<Bool>.Box) { self.gone = gone }
    deinit { gone.value.store(true, ordering: .releasing) }
  }

  /// Whoever cancels does so until it is heard: the one that opens may not have come to where it waits.
  private func cancelled(_ opening: Opening, _ waiter: Background<Errno?>) -> Bool {
    eventually {
      opening.cancel()
      return waiter.isFinished
    }
  }

  @Test func itGivesWhatWasOpenedOrWhatTheSystemSaid() throws {
    let opening = Opening()
    #expect(try opening.open("open", of: "/clip") { 7 } == 7)
    #expect(
      errno {
        _ = try opening.open("open", of: "/clip") { () throws(Failure) -> Int in throw Failure(.ioError, "open", on: "")
        }
      }
        == .ioError)
  }

  @Test func whoeverWaitsIsFreedAndWhatComesLaterIsLetGoOf() throws {
    let opening = Opening()
    let gate = GateBox()
    gate.close()
    let gone = Atomic<Bool>.Box()
    let waiter = Background {
      errno {
        _ = try opening.open("open", of: "/clip") {
          gate.pass()
          return Handle(gone)
        }
      }
    }
    #expect(eventually { gate.held == 1 })
    #expect(cancelled(opening, waiter))
    #expect(try waiter.value == .canceled)
    // Another is opened while the first still hangs.
    #expect(try opening.open("open", of: "/other") { 8 } == 8)
    gate.open()
    #expect(eventually { gone.value.load(ordering: .acquiring) })
  }

  @Test func onlySoManyThreadsOfAChannelHang() throws {
    let opening = Opening()
    let gate = GateBox()
    gate.close()
    for count in 1...Opening.threads {
      let waiter = Background { errno { _ = try opening.open("open", of: "/clip") { gate.pass() } } }
      #expect(eventually { gate.held == count })
      #expect(cancelled(opening, waiter))
      #expect(try waiter.value == .canceled)
    }
    #expect(errno { _ = try opening.open("open", of: "/clip") { 1 } } == .resourceBusy)
    gate.open()
    #expect(eventually { (try? opening.open("open", of: "/clip") { 1 }) == 1 })
  }
}

extension Atomic where Value == Bool {
  final class Box: Sendable {
    let value = Atomic<Bool>(false)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite(.ownThread) struct LibraryThreadsTests {
  private static func ownName() -> String {
    guard let file = fopen("/proc/thread-self/comm", "r") else { return "" }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  /// Makes a thread as C does, which names none.
  private static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t {
    final class Body: Sendable {
      let run: @Sendable () -> Void
      init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, Unmanaged.passRetained(Body(body)).toOpaque())
    #expect(code == 0)
    return thread
  }

  @Test func theThreadsOfACallBearItsNameAndAreCounted() throws {
    let gate = Monitor(0)
    let names = Mutex<[String]>([])
    let before = Self.ownName()
    var made: [pthread_t] = []
    // One that is not of the call.
    made.append(Self.start { _ = gate.wait { $0 > 1 ? true : nil } })
    let threads = LibraryThreads.made(by: "test") {
      for _ in 0..<2 {
        made.append(
          Self.start {
            names.withLock { $0.append(Self.ownName()) }
            _ = gate.wait { $0 > 0 ? true : nil }
            var sum = 0
            for value in 0..<2_000_000 { sum = sum &* 31 &+ value }
            #expect(sum != 1)
            _ = gate.wait { $0 > 1 ? true : nil }
          })
      }
    }
    #expect(threads.count == 2)
    #expect(Self.ownName() == before)
    let early = threads.processorTime()
    gate.change { $0 = 1 }
    #expect(eventually { threads.processorTime() > early + 1_000_000 })
    gate.change { $0 = 2 }
    for thread in made { pthread_join(thread, nil) }
    let borne = Set(names.withLock { $0 })
    #expect(borne.count == 1 && borne.first?.hasPrefix("test ") == true, "\(borne)")
    // What has ended tells nothing. The kernel lets go of a thread a moment after it is joined.
    #expect(eventually { threads.processorTime() == 0 })
  }

  @Test func aCallThatMakesNoneHasNone() {
    let threads = LibraryThreads.made(by: "test") {}
    #expect(threads.count == 0 && threads.processorTime() == 0)
  }
}

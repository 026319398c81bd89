// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Readers that are stopped, interrupted and resumed: nothing may be lost or given twice.
@Suite(.ownThread) struct InterruptionTests {
  private func expectWhole(
    _ file: String, _ served: Served, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let complaints = try Video.complaints(file)
    #expect(complaints.isEmpty, "\(complaints)", sourceLocation: sourceLocation)
    let numbers = try Video.patternNumbers(file, width: 640, height: 360)
    #expect(!numbers.contains(nil), sourceLocation: sourceLocation)
    #expect(numbers.count > 30, "\(numbers)", sourceLocation: sourceLocation)
    try served.expectRising(numbers.compactMap { $0 }, sourceLocation: sourceLocation)
  }

  @Test func aStoppedReaderGoesOnWhereItWas() throws {
    let served = try Served(configuration: Pipelines.small())
    let recording = try Recording(served, "venc/0/stream")
    #expect(eventually { recording.size > 0 })
    for _ in 0..<20 {
      recording.cat.signal(SIGSTOP)
      #expect(try served.advances("venc/0", "frames_out", by: 1))
      recording.cat.signal(SIGCONT)
      #expect(try served.advances("venc/0", "frames_out", by: 2))
    }
    try served.echo("0", to: "venc/0/enable")
    #expect(recording.cat.ended() == 0)
    try expectWhole(recording.file, served)
  }

  @Test func signalsTakeNoBytesAway() throws {
    let served = try Served(configuration: Pipelines.small())
    let file = served.scratch + "/alarmed.h264"
    // A signal every 3 ms while it reads; Python goes on after EINTR.
    let reader = try Child([
      "python3", "-c",
      """
      import os, signal, sys
      hits = 0
      def hit(*_):
          global hits
          hits += 1
          if hits == 51: os.write(1, b'51 signals\\n')
      signal.signal(signal.SIGALRM, hit)
      fd = os.open(sys.argv[1], os.O_RDONLY)
      out = open(sys.argv[2], 'wb')
      signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
      while True:
          data = os.read(fd, 5000)
          if not data: break
          out.write(data)
      signal.setitimer(signal.ITIMER_REAL, 0)
      out.close()
      """, served.path("venc/0/stream"), file,
    ])
    // It may take long to begin, and to come to its turn between the signals.
    #expect(eventually { reader.outputText == "51 signals\n" || !reader.isRunning })
    #expect(try served.advances("venc/0", "frames_out", by: 90))
    try served.echo("0", to: "venc/0/enable")
    #expect(reader.ended() == 0, "\(reader.errors)")
    #expect(reader.outputText == "51 signals\n")
    try expectWhole(file, served)
  }

  @Test func writersThatAreKilledLeaveNothingHalfDone() throws {
    let served = try Served(configuration: Pipelines.small("venc/1/codec = h264"))
    for number in 0..<20 {
      let writer = try Child(["sh", "-c", #"echo 1 > "$1"; echo 0 > "$1""#, "sh", served.path("venc/1/enable")])
      if number % 2 == 0 { writer.signal(SIGKILL) }
      #expect(writer.ended() != nil)
    }
    // What a writer began that did not wait for its end goes on.
    #expect(
      try eventually { try (served.value("venc/1/enable") == "0") == (served.value("venc/1/state") == "stopped") })
    try served.echo("0", to: "venc/1/enable")
    #expect(try run("rmdir", served.path("venc/1")).status == 0)
  }
}

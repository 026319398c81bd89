// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// One stage is made to stand still by stopping its thread, as a debugger does: `health` names the culprit, nothing else
/// stands still for it, and all goes on afterwards with every frame accounted for.
@Suite(.ownThread) struct StallTests {
  /// Threads stopped until ``release()``, where they hold no lock: while they wait, or inside a codec or scaler. Elsewhere
  /// a thread may hold one for an instant (the allocator's, say), which no slow stage does.
  final class Stall {
    private let tracer: Child

    init(_ served: Served, threads pattern: String) throws {
      let script = """
        import ctypes, os, re, signal, sys, time
        pid, pattern = sys.argv[1:]
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        SEIZE, INTERRUPT, CONT, WALL = 0x4206, 0x4207, 7, 0x40000000
        CODECS = re.compile(r'.*/lib(openh264|x264|yuv)[.-]')
        FUTEX, SLEEP = {'x86_64': (202, (7, 35, 219, 230, 271)), 'aarch64': (98, (73, 101, 115, 128))}[os.uname().machine]

        def ptrace(request, task):
            if libc.ptrace(request, task, None, None) != 0:
                sys.exit('ptrace: ' + os.strerror(ctypes.get_errno()))

        def holds_nothing(task):
            words = open('/proc/%s/task/%d/syscall' % (pid, task)).read().split()
            if words[0] == '-1':
                place = int(words[2], 16)
                for line in open('/proc/%s/maps' % pid):
                    first, last = (int(part, 16) for part in line.split()[0].split('-'))
                    if first <= place < last:
                        return CODECS.match(line.split()[-1]) is not None
                return False
            # Waits for time or a device; on a condition or a semaphore, not for a mutex.
            number = int(words[0])
            return number in SLEEP or number == FUTEX and words[2] in ('0x89', '0x189')

        found = 0
        for task in map(int, os.listdir('/proc/%s/task' % pid)):
            try:
                name = open('/proc/%s/task/%d/comm' % (pid, task)).read().strip()
            except (FileNotFoundError, ProcessLookupError):
                # One that has ended since.
                continue
            if not re.fullmatch(pattern, name):
                continue
            ptrace(SEIZE, task)
            # Ever longer, so that it gets somewhere also where it has to wait for a CPU.
            pause, deadline = 0.0005, time.monotonic() + 100
            while True:
                ptrace(INTERRUPT, task)
                os.waitpid(task, WALL)
                if holds_nothing(task):
                    break
                if time.monotonic() > deadline:
                    sys.exit('thread %d never waits' % task)
                ptrace(CONT, task)
                time.sleep(pause)
                pause = min(2 * pause, 0.1)
            found += 1
        print('stopped', found, flush=True)
        signal.pause()
        """
      tracer = try Child(["python3", "-c", script, String(served.pid), pattern])
      let tracer = tracer
      let stopped = eventually { tracer.outputText.hasSuffix("\n") || !tracer.isRunning }
      try #require(
        stopped && tracer.outputText.hasPrefix("stopped ") && tracer.outputText != "stopped 0\n",
        "no thread \(pattern) could be stopped: \(tracer.outputText)\(tracer.errors)")
    }

    /// The threads go on when their tracer ends.
    func release() {
      tracer.signal(SIGKILL)
      tracer.ended()
    }
  }

  private func expectGoingOn(_ served: Served, sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(try eventually { try served.moves }, sourceLocation: sourceLocation)
    #expect(try served.advances("venc/0", "frames_out", by: 10), sourceLocation: sourceLocation)
    for object in ["vpss/0", "vpss/0/0", "venc/0"] {
      let stats = try served.stats(object)
      #expect(
        stats["frames_in"] == (stats["frames_out"] ?? 0) + (stats["dropped"] ?? 0) + (stats["in_flight"] ?? 0),
        "\(object): \(stats)", sourceLocation: sourceLocation)
    }
  }

  @Test func aStoppedInputIsNamed() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    let stall = try Stall(served, threads: "vi0")
    var health = ""
    let named = try eventually {
      health = try served.cat("health")
      return health.hasPrefix("degraded\nvi/0: ") && health.contains("venc/0: starved")
        && health.contains("waits for vi/0")
    }
    #expect(named, "\(health)")
    stall.release()
    try expectGoingOn(served)
  }

  @Test func stoppedWorkersAreNamedAndTheTreeAnswers() throws {
    // The encoder gets scaled pictures: then the input has a buffer to go on with whatever the stopped workers hold.
    let served = try Served(configuration: Pipelines.small(of: "vpss/0/1"))
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    let recording = try Recording(served, "venc/0/stream")
    #expect(eventually { recording.size > 0 })
    let stall = try Stall(served, threads: "cpu-[0-9]+")
    var health = ""
    let named = try eventually {
      health = try served.cat("health")
      return health.hasPrefix("degraded\n") && health.contains(" full (")
    }
    #expect(named, "\(health)")
    // The input goes on; what nobody takes is dropped and counted, and that is not called its fault. (That a busy machine kept it from its
    // own pace stands there only for some seconds.)
    #expect(try served.advances("vi/0", "frames_in", by: 30))
    let isBlameless = try eventually {
      health = try served.cat("health")
      return health.contains(" full (") && !health.split(separator: "\n")[1].hasPrefix("vi/0")
    }
    #expect(isBlameless, "\(health)")
    let dropped = try eventually {
      try ["vpss/0", "venc/0", "vi/0"].contains { try (served.stats($0)["dropped"] ?? 0) > 0 }
    }
    #expect(dropped)
    // Everything can be read, and settings that touch no engine be written.
    for node in ["vsys", "valloc", "venc_info", "metrics", "report", "config", "venc/0/stats"] {
      #expect(try !served.cat(node).isEmpty)
    }
    try served.echo("777", to: "venc/0/bitrate")
    stall.release()
    try expectGoingOn(served)
    #expect(recording.has(10))
    try recording.stopAtPicture()
    #expect(try Video.complaints(recording.file) == "")
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"))
  func aWriteThatIsNotAnsweredTimesOutAndTheWorkGoesOn() throws {
    let storage = try Served(configuration: Pipelines.small())
    let served = try Served(configuration: Pipelines.small("vi/1/input = pattern"))
    try served.echo("file:" + storage.path("help"), to: "vi/1/input")
    storage.suspend()
    defer { storage.program.signal(SIGCONT) }
    #expect(try served.refusal(of: "1", to: "vi/1/enable").contains("timed out"))
    #expect(
      try eventually {
        try served.errorLog().contains { $0.contains("vi/1/enable") && $0.contains("ETIMEDOUT") }
      })
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    storage.program.signal(SIGCONT)
    // What came of it.
    #expect(try eventually { try served.value("vi/1/enable") == "0" })
    #expect(try eventually { try served.errorLog().last?.contains("not a media file") == true })
  }

  @Test func theEndComesThoughEverythingHangs() throws {
    let served = try Served(configuration: Pipelines.small("venc/5/codec = h264\nvenc/5/enable = 1"))
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    let reader = try Child(["cat", served.path("venc/5/stream")])
    let stall = try Stall(served, threads: "cpu-[0-9]+|vi0")
    let writer = try Child(["sh", "-c", #"echo 0 > "$1""#, "sh", served.path("vi/0/enable")])
    served.program.signal(SIGTERM)
    #expect(try eventually { try run("mountpoint", "-q", served.at).status != 0 })
    #expect(reader.ended() != nil)
    #expect(writer.ended() != nil)
    // Its stopped threads keep the process from being gone altogether.
    stall.release()
    #expect(served.program.ended() == 0)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Starting, ending and everything in the way of it.
@Suite(.ownThread) struct LifeCycleTests {
  /// Runs the program expecting it to refuse; what it said.
  private func refusal(
    _ arguments: [String], environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    try Machine.check()
    let outcome = try Child.run([Machine.binary] + arguments, environment: environment)
    #expect(outcome.status != 0, "it ended well", sourceLocation: sourceLocation)
    #expect(!outcome.timedOut, "it did not end: \(outcome.text)\(outcome.errors)", sourceLocation: sourceLocation)
    #expect(!outcome.text.contains("serving"), sourceLocation: sourceLocation)
    #expect(!outcome.errors.contains("Fatal error"), sourceLocation: sourceLocation)
    return outcome.errors
  }

  private func withDirectory(_ body: (String) throws -> Void) throws {
    let directory = try Served.freshDirectory()
    defer {
      _ = try? run("sh", "-c", #"fusermount3 -uzq "$1/mpi"; rm -rf --one-file-system "$1""#, "sh", directory)
    }
    try body(directory)
  }

  private func isMounted(_ path: String) throws -> Bool { try run("mountpoint", "-q", path).status == 0 }

  // MARK: ending

  @Test func signalsUnmountAndEnd() throws {
    for signal in [SIGTERM, SIGINT, SIGHUP] {
      let served = try Served(configuration: Pipelines.small())
      #expect(try isMounted(served.at))
      served.program.signal(signal)
      #expect(served.program.ended() == 0, "signal \(signal): \(served.program.errors)")
      #expect(try !isMounted(served.at))
    }
  }

  @Test(arguments: [SIGTERM, SIGUSR1]) func whatItWasStartedToIgnoreDoesNotEndIt(last: Int32) throws {
    try Machine.check()
    try withDirectory { directory in
      // As under nohup, and in the background of a script.
      let at = directory + "/mpi"
      let program = try Child([
        "sh", "-c", #"trap "" HUP INT; exec "$1" --at "$2" --load none"#, "sh", Machine.binary, at,
      ])
      #expect(eventually { program.outputText.contains("serving") || !program.isRunning })
      program.signal(SIGHUP)
      program.signal(SIGINT)
      #expect(try !run("cat", at + "/health").text.contains(", still for "))
      program.signal(last)
      #expect(program.ended() == 0, "\(program.errors)")
      // Signals are taken lowest number first: had one of the ignored been taken, this one would not have been.
      #expect(program.errors.contains("unmounted from outside") == (last == SIGUSR1), "\(program.errors)")
      #expect(try !isMounted(at))
    }
  }

  @Test func blockedReadersAndOpenHandlesDoNotHoldUpTheEnd() throws {
    let served = try Served(configuration: Pipelines.small("venc/5/codec = h264\nvenc/5/enable = 1"))
    let readers = try (0..<8).map { _ in try Child(["cat", served.path("venc/5/stream")]) }
    let recording = try Recording(served, "venc/0/stream")
    let holder = try Child([
      "python3", "-c",
      "import sys; f = open(sys.argv[1]); f.read(); print('open', flush=True); sys.stdin.read(); import signal; signal.pause()",
      served.path("vsys"),
    ])
    #expect(eventually { holder.outputText == "open\n" && recording.size > 0 })
    let parked = try eventually {
      try served.parkedRequests() >= 8
    }
    #expect(parked)
    served.program.signal(SIGTERM)
    #expect(served.program.ended() == 0, "\(served.program.errors)")
    for reader in readers { #expect(reader.ended() != nil, "a reader still waits") }
    #expect(recording.cat.ended() != nil)
    #expect(try !isMounted(served.at))
  }

  @Test func afterAKillTheSameDirectoryServesAgain() throws {
    let first = try Served(configuration: Pipelines.small())
    let reader = try Recording(first, "venc/0/stream")
    #expect(eventually { reader.size > 0 })
    first.program.signal(SIGKILL)
    #expect(first.program.ended() == 128 + SIGKILL)
    #expect(reader.cat.ended() != nil)
    // The dead mount is still there, and answers so.
    #expect(try run("ls", first.at).errors.contains("not connected"))
    let second = try Served(configuration: Pipelines.small(), at: first.at)
    #expect(try second.advances("venc/0", "frames_out", by: 5))
    let mounts = try shell(#"grep -c " $1 " /proc/self/mountinfo"#, second.at)
    #expect(mounts.text == "1\n")
    second.end()
    #expect(try !isMounted(first.at))
  }

  @Test func unmountingFromOutsideEndsTheProgram() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try run("umount", served.at).status == 0)
    #expect(served.program.ended() != nil)
    #expect(served.program.errors.contains("unmounted"))
  }

  // MARK: what is in the way

  @Test func aSecondStartNamesTheFirst() throws {
    let served = try Served(configuration: Pipelines.small())
    let said = try refusal(["--at", served.at, "--input", "pattern"])
    #expect(said.contains("already served by pid \(served.pid)"), "\(said)")
    #expect(try served.advances("venc/0", "frames_out", by: 5))
  }

  @Test func whatIsMountedThereAlreadyIsLeftAlone() throws {
    try withDirectory { directory in
      let at = directory + "/busy"
      #expect(try shell(#"mkdir "$1" && mount -t tmpfs tmpfs "$1" && touch "$1/mine""#, at).status == 0)
      defer { _ = try? run("umount", "-l", at) }
      let said = try refusal(["--at", at, "--input", "pattern"])
      #expect(said.contains(at) && said.contains("mounted there"), "\(said)")
      #expect(try run("test", "-e", at + "/mine").status == 0)
    }
  }

  /// What the kernel shows of a process would be hidden from everybody, and the program would wait for itself. In a mount
  /// namespace of its own, for the case that it is not refused.
  @Test(arguments: ["/proc/self", "/proc/self/fd", "/sys/kernel"])
  func noDirectoryOfTheKernelIsMountedOver(at: String) throws {
    let outcome = try run("timeout", "-k", "1", "60", "unshare", "-m", Machine.binary, "--at", at, "--load", "none")
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains(": another filesystem is mounted there (a directory of "), "\(outcome.errors)")
  }

  @Test func aMountPointThatIsAFileIsNamed() throws {
    try withDirectory { directory in
      let file = directory + "/file"
      #expect(FileManager.default.createFile(atPath: file, contents: Data("x".utf8)))
      for at in [file, file + "/below"] {
        let said = try refusal(["--at", at, "--input", "pattern"])
        #expect(said.contains(file) && said.lowercased().contains("not a directory"), "\(said)")
      }
      #expect(try run("cat", file).text == "x")
    }
  }

  @Test func missingDirectoriesAreMade() throws {
    try withDirectory { directory in
      let served = try Served(["--load", "none"], at: directory + "/a/b c/mpi")
      #expect(try served.moves)
      served.end()
      #expect(try !isMounted(directory + "/a/b c/mpi"))
    }
  }

  @Test func aDirectoryThatMayNotBeMadeIsNamed() throws {
    try withDirectory { directory in
      let outcome = try run(
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", Machine.binary, "--at", directory + "/mpi",
        "--input", "pattern")
      #expect(outcome.status != 0 && !outcome.timedOut)
      #expect(outcome.errors.contains("Permission denied"), "\(outcome.errors)")
    }
  }

  @Test func withoutTheFuseDeviceItSaysSo() throws {
    try withDirectory { directory in
      // An empty /dev in a mount namespace of its own.
      let script = #"mount -t tmpfs tmpfs /dev && exec "$1" --at "$2/mpi" --input pattern"#
      let outcome = try run("unshare", "-m", "sh", "-c", script, "sh", Machine.binary, directory)
      #expect(outcome.status != 0 && !outcome.timedOut)
      #expect(outcome.errors.contains("/dev/fuse"), "\(outcome.errors)")
    }
  }

  @Test func badOptionsEndWithTheirReason() throws {
    try withDirectory { directory throws in
      let at = directory + "/mpi"
      #expect(try refusal(["--at", at, "--input", ""]).contains("--input"))
      #expect(try refusal(["--at", at, "--load", directory + "/missing.conf"]).contains("missing.conf"))
      #expect(try refusal(["--at", at, "--load", directory]).contains(directory))
      #expect(try refusal(["--at", at, "--dialect", "vendor-9"]).contains("rockit-1.4.81"))
      #expect(try refusal(["--at", ""]).contains("--at"))
      #expect(try refusal(["--no-such-option"]).contains("--no-such-option"))
      #expect(try !isMounted(at))
    }
  }

  @Test func anInputFileInTheTreeToBeServedIsALoop() throws {
    try withDirectory { directory in
      let said = try refusal(["--at", directory, "--input", "file:" + directory + "/a.avi"])
      #expect(said.contains("lies in the tree"), "\(said)")
    }
  }

  @Test(arguments: ["link", "link/missing/mpi"])
  func aFileOfTheTreeIsALoopAlsoWhereALinkLedToTheMountPoint(at: String) throws {
    try withDirectory { directory in
      #expect(try shell(#"mkdir "$1/real" && ln -s real "$1/link""#, directory).status == 0)
      defer { _ = try? run("umount", "-l", "\(directory)/\(at)") }
      let served = try Served(configuration: Pipelines.small("vi/1/input = pattern"), at: "\(directory)/\(at)")
      let real = at.replacing("link", with: "real")
      for name in [real, at] {
        let said = try served.refusal(of: "file:\(directory)/\(name)/venc/0/stream", to: "vi/1/input")
        #expect(said.contains("Too many levels of symbolic links"), "\(name): \(said)")
      }
      #expect(try served.value("vi/1/input") == "pattern")
      served.end()
    }
  }

  // MARK: options

  @Test func versionTellsWhatRuns() throws {
    let outcome = try run(Machine.binary, "--version")
    #expect(outcome.status == 0)
    for line in [#/mpifs \d+\.\d+\.\d+/#, #/commit: \S+/#, #/built: \S+/#, #/traits: .+/#, #/licence: Apache-2.0.*/#] {
      #expect(outcome.lines.contains { $0.wholeMatch(of: line) != nil }, "\(outcome.text)")
    }
    #expect(outcome.text.contains("links GPL code") == (Machine.hasX264 || Machine.hasX265 || Machine.hasFFmpeg))
  }

  @Test func helpNamesEveryOption() throws {
    let text = try run(Machine.binary, "--help").text
    for option in ["--at", "--input", "--load", "--dialect", "--allow-other", "--vendor-paths", "--version", "--help"] {
      #expect(text.contains(option), "\(option)")
    }
  }

  @Test func loadNoneStartsEmptyAndTakesAConfiguration() throws {
    let served = try Served(["--load", "none"])
    #expect(try served.cat("config") == "create\n")
    #expect(try run("ls", "-A", served.path("vi"), served.path("venc")).lines.count == 2)
    #expect(SystemPage(try served.cat("vsys")).rows.isEmpty)
    #expect(try served.cat("rk_dmabuf/size") == "Total: 0 KiB\n")
    #expect(try served.configure("create\n" + Pipelines.small()).status == 0)
    #expect(try served.advances("venc/0", "frames_out", by: 5))
  }

  @Test func theServiceManagerIsTold() throws {
    try withDirectory { directory in
      let script = """
        import os, signal, socket, subprocess, sys
        name = sys.argv[2] + '/notify'
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(name); s.settimeout(40)
        p = subprocess.Popen([sys.argv[1], '--at', sys.argv[2] + '/mpi', '--load', 'none'],
                             env=dict(os.environ, NOTIFY_SOCKET=name), stdout=subprocess.DEVNULL)
        ready = s.recv(4096).decode()
        answers = os.path.exists(sys.argv[2] + '/mpi/vsys')
        p.send_signal(signal.SIGTERM)
        stopping = s.recv(4096).decode()
        p.wait(20)
        print('READY=1' in ready.split('\\n'), answers, 'MAINPID=%d' % p.pid in ready, 'STOPPING=1' in stopping.split('\\n'), p.returncode)
        """
      let outcome = try python(script, Machine.binary, directory)
      #expect(outcome.text == "True True True True 0\n", "\(outcome.text)\(outcome.errors)")
    }
  }

  @Test func theNewerDialectHasItsOwnLayouts() throws {
    let served = try Served(["--dialect", "rockit-1.4.81"], configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 3))
    func golden(_ name: String) throws -> [Substring] {
      try String(contentsOfFile: Machine.repository + "/Tests/NodeTextTests/Golden/\(name)", encoding: .utf8)
        .split(separator: "\n")
    }
    for (node, file) in [("vsys", "vsys_81.txt"), ("valloc", "valloc_81.txt"), ("vrgn", "vrgn_32.txt")] {
      // Titles and headers.
      func fixed(_ lines: [Substring]) -> [Substring] { lines.filter { $0.hasPrefix("*") || $0.contains("---") } }
      #expect(fixed(try served.cat(node).split(separator: "\n")) == fixed(try golden(file)), "\(node)")
    }
    let page = EncoderPage(try served.cat("venc_info"))
    let sample = EncoderPage(try golden("venc_2023-06.txt").joined(separator: "\n"))
    let headers = Dictionary(sample.sections.map { ($0.title, $0.header) }, uniquingKeysWith: { first, _ in first })
    for section in page.sections where !["h264e chn attr", "Syntax INFO2"].contains(section.title) {
      #expect(headers[section.title] == section.header, "\(section.title)")
    }
    #expect(page.value(0, "venc chn attr 1", "MaxWidth") != nil)
    #expect(page.sections.suffix(3).map(\.title) == ["mpp_packet pool", "mpp_buffer pool", "mpp_frame pool"])
    let vlog = try served.cat("vlog").split { $0.isNewline }
    let shape = #/^\[(sys|mb|vi|vpss|venc) *\]\[(inf|wrn|err)\]\[ *\d+\.\d{1,6} *\] \{.{18}:\d{4}\} /#
    #expect(!vlog.isEmpty && vlog.allSatisfy { $0.contains(shape) }, "\(vlog)")
  }

  @Test func vendorPathsLinkTheDevicesDirectory() throws {
    try #require(
      try run("test", "-e", "/dev/mpi").status != 0, "/dev/mpi is there already: not touching it")
    let served = try Served(["--vendor-paths"], configuration: Pipelines.small())
    #expect(try run("readlink", "/dev/mpi").text == served.at + "\n")
    #expect(try run("cat", "/dev/mpi/vsys").text.hasPrefix("module: vsys\n"))
    // After a crash the link is left; the next start replaces it.
    served.program.signal(SIGKILL)
    #expect(served.program.ended() != nil)
    let second = try Served(["--vendor-paths"], configuration: Pipelines.small())
    #expect(try run("readlink", "/dev/mpi").text == second.at + "\n")
    second.program.signal(SIGTERM)
    #expect(second.program.ended() == 0)
    #expect(try run("test", "-L", "/dev/mpi").status != 0)
  }

  @Test func vendorPathsThatCannotBeLinkedAreARefusal() throws {
    try withDirectory { directory in
      // The vendor's directory is there, in a mount namespace of its own.
      let script = """
        mount --rbind /dev "$2" && mount -t tmpfs tmpfs /dev && touch /dev/fuse /dev/null &&
        mount --bind "$2/fuse" /dev/fuse && mount --bind "$2/null" /dev/null && mkdir /dev/mpi &&
        exec "$1" --at "$2-mpi" --vendor-paths --input pattern
        """
      let devices = directory + "/dev"
      #expect(try run("mkdir", devices).status == 0)
      let outcome = try run("unshare", "-m", "sh", "-c", script, "sh", Machine.binary, devices)
      #expect(outcome.status == 1 && !outcome.timedOut, "\(outcome)")
      #expect(outcome.errors.contains("--vendor-paths: /dev/mpi exists and is no link"), "\(outcome.errors)")
      #expect(!outcome.text.contains("serving"))
    }
  }

  // MARK: other users

  @Test func otherUsersReadTextOnlyWhenAsked() throws {
    func asNobody(_ script: String, _ at: String) throws -> Child.Outcome {
      try run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", script, "sh", at)
    }
    let open = try Served(["--allow-other"], configuration: Pipelines.small())
    #expect(try asNobody(#"cat "$1/vsys" "$1/venc/0/bitrate" "$1/metrics" > /dev/null"#, open.at).status == 0)
    for script in [
      #"head -c 1 "$1/venc/0/stream""#, #"head -c 1 "$1/venc/0/snapshot.jpg""#, #"echo 500 > "$1/venc/0/bitrate""#,
      #"echo 1 > "$1/venc/0/idr""#, #"mkdir "$1/venc/1""#, #"rmdir "$1/venc/0""#, #"echo x > "$1/error_log""#,
      #"echo x > "$1/config""#,
    ] {
      let outcome = try asNobody(script, open.at)
      #expect(outcome.status != 0 && outcome.errors.contains("ermission denied"), "\(script): \(outcome.errors)")
    }
    #expect(try open.value("venc/0/bitrate") == "400")
    let closed = try Served(["--load", "none"])
    #expect(try asNobody(#"cat "$1/vsys""#, closed.at).errors.contains("Permission denied"))
  }
}

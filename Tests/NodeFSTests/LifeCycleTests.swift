// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import TestSupport
import Testing

@testable import NodeFS

/// Start-up, the end, and what happens when either goes wrong.
@Suite(.ownThread, .enabled(if: whyNoMount == nil, "nothing can be mounted here")) struct LifeCycleTests {
  private func start(_ arguments: String) throws -> Sample.Result {
    Sample.shell("'\(try #require(Sample.binary))' \(arguments)", in: "/tmp")
  }

  /// A start where a live one serves. One that gets no processor for the two seconds it is asked for looks like one that hangs,
  /// and is asked again.
  private func startBesideALiveOne(_ directory: String) throws -> Sample.Result {
    var result = try start(directory)
    _ = try eventually {
      if result.err.contains("does not answer") { result = try start(directory) }
      return !result.err.contains("does not answer")
    }
    return result
  }

  /// Whether all threads of a process have stopped: a signal that was sent is on its way to them.
  private func isStopped(_ process: pid_t) -> Bool {
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
    return !threads.isEmpty
      && threads.allSatisfy { thread in
        let status = try? String(contentsOfFile: "/proc/\(process)/task/\(thread)/status", encoding: .utf8)
        return status?.contains("\nState:\tT") == true
      }
  }

  @Test func aSecondStartOnALiveMountRefusesAndNamesThePid() throws {
    let sample = try Sample()
    let second = try startBesideALiveOne(sample.directory)
    #expect(second.status == 1)
    #expect(second.err.contains("already served by pid \(sample.process.pid)"), "\(second)")
    #expect(sample.run("cat hello").out == "hello, world\n")
  }

  @Test func afterKillTheSameMountPointWorksAgain() throws {
    let sample = try Sample()
    // Something inside is still open.
    let kept = try Child("sleep 1000", in: sample.directory)
    #expect(eventually { folder(of: kept.pid) == sample.directory })
    #expect(sample.run("cat hello").isOK)
    kill(sample.process.pid, SIGKILL)
    sample.process.ended()
    let dead = Sample.shell("LC_ALL=C cat '\(sample.directory)/hello'", in: "/")
    #expect(dead.err.contains("not connected"), "\(dead)")
    try sample.restart()
    #expect(sample.run("cat hello").out == "hello, world\n")
    #expect(Sample.shell("grep -c '\(sample.directory)' /proc/self/mountinfo", in: "/").out == "1\n")
    kept.signal(SIGKILL)
    #expect(kept.hasEnded())
  }

  private func folder(of process: pid_t) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/cwd")
  }

  @Test func anotherFilesystemAtTheMountPointIsNamed() throws {
    let sample = try Sample()
    let other = try start("\(sample.directory) --name somethingelse")
    #expect(other.status == 1 && other.err.contains("another filesystem is mounted there (fuse.nodefs"), "\(other)")
    let proc = try start("/proc")
    #expect(proc.status == 1 && proc.err.contains("proc"), "\(proc)")
  }

  @Test(arguments: [
    ("/etc/passwd", "not a directory"), ("/tmp/does/not/exist", "No such file or directory"),
    ("/tmp/does-not-exist-either", "No such file or directory"), ("''", "No such file or directory"),
    ("/tmp --name 'a,b'", "not a possible name"),
  ])
  func anImpossibleMountPointIsAClearError(arguments: String, text: String) throws {
    let result = try start(arguments)
    #expect(result.status == 1 && result.err.contains(text), "\(result)")
  }

  @Test func aMountWhoseProcessHangsIsToldFromALiveOne() throws {
    let sample = try Sample()
    let pid = sample.process.pid
    kill(pid, SIGSTOP)
    #expect(eventually { isStopped(pid) })
    let second = try start(sample.directory)
    kill(pid, SIGCONT)
    #expect(second.status == 1 && second.err.contains("served by pid \(pid), which does not answer"), "\(second)")
    #expect(sample.run("cat hello").out == "hello, world\n")
  }

  @Test func withoutADeviceTheErrorSaysSo() throws {
    let directory = "/tmp/nodefs-nodevice-\(getpid())"
    mkdir(directory, 0o755)
    defer { rmdir(directory) }
    let result = Sample.shell(
      "unshare -m sh -c 'mount -t tmpfs none /dev && \(try #require(Sample.binary)) \(directory)'", in: "/tmp")
    #expect(result.status == 1 && result.err.contains("no FUSE here: /dev/fuse"), "\(result)")
  }

  @Test func aTreeIsServedByOneMountAtATimeAndAgainLater() throws {
    let directory = "/tmp/nodefs-inside-\(getpid())"
    mkdir(directory, 0o755)
    defer { rmdir(directory) }
    let tree = NodeTree()
    let kept = Mutexed<[Reply]>([])
    try tree.root.add("hello", .text { $0.append("hello\n") })
    try tree.root.add(
      "never",
      .command(deadline: .milliseconds(50)) { request in kept.change { $0.append(request.reply) } })
    let options = MountOptions(name: "nodefs", threads: 3, patience: .seconds(patience))
    for _ in 0..<3 {
      let mount = try Mount.start(tree, at: directory, options: options)
      // Through a child process: this one serves.
      #expect(Sample.shell("cat hello", in: directory).out == "hello\n")
      let late = Sample.shell("LC_ALL=C; echo 1 > never", in: directory)
      #expect(late.err.contains("timed out"), "\(late)")
      #expect(refusal(of: tree, at: directory, options) == .alreadyServed(path: directory, pid: getpid()))
      #expect(throws: MountError.treeInUse) {
        try Mount.start(tree, at: "/mnt", options: options)
      }
      #expect(mount.stop() == .clean)
      #expect(mount.stop() == .clean)
    }
    #expect(tree.activity.requests["init"] == 3)
    #expect(tree.activity.parked == 0)
  }

  /// What a start where this process serves is refused with, as in `startBesideALiveOne`.
  private func refusal(of tree: NodeTree, at directory: String, _ options: MountOptions) -> MountError? {
    var refusal: MountError?
    _ = eventually {
      do throws(MountError) {
        _ = try Mount.start(tree, at: directory, options: options)
        refusal = nil
      } catch {
        refusal = error
      }
      return refusal != .notAnswering(path: directory, pid: getpid())
    }
    return refusal
  }

  @Test(arguments: [false, true]) func theEndWaitsForAnAnswerOnItsWay(hangs: Bool) throws {
    let directory = "/tmp/nodefs-answering-\(getpid())-\(hangs)"
    mkdir(directory, 0o755)
    defer { rmdir(directory) }
    let tree = NodeTree()
    let mount = try Mount.start(
      tree, at: directory,
      options: MountOptions(name: "nodefs", threads: 1, patience: .seconds(hangs ? 0.05 : patience)))
    // A thread of the owner that has won the right to answer, and sends nothing yet.
    let (isSending, isReleased) = (Monitor(false), Monitor(false))
    let parked: Parked<Void> = tree.parked(tree.root, .write, someone) { _ in
      isSending.change { $0 = true }
      _ = isReleased.wait { $0 ? true : nil }
    }
    #expect(parked.park { _ in })
    let answerer = Background { parked.complete(.success(())) }
    _ = isSending.wait { $0 ? true : nil }
    #expect(tree.activity.parked == 1)
    let stopper = Background { mount.stop() }
    if hangs {
      // It would send through a session that is no more: that one must be left to it.
      // In so short a time the serving thread and the two that help it may not have come to their ends either.
      let endings = (1...3).map { Mount.Ending.forced(hungThreads: $0) }
      let ending = try stopper.value
      #expect(endings.contains(ending), "\(ending)")
      isReleased.change { $0 = true }
    } else {
      #expect(!MountTableEntry.all().filter { $0.mountPoint == directory }.isEmpty)
      isReleased.change { $0 = true }
      #expect(try stopper.value == .clean)
    }
    _ = try answerer.value
    #expect(tree.waitingRoom.isEmpty(by: Clock.now() + .seconds(Int64(patience))))
    #expect(MountTableEntry.all().filter { $0.mountPoint == directory }.isEmpty)
  }

  @Test func aMountPointReachedThroughASymbolicLinkIsTheSame() throws {
    let sample = try Sample()
    let link = "/tmp/nodefs-link-\(getpid())"
    symlink(sample.directory, link)
    defer { unlink(link) }
    let second = try startBesideALiveOne("\(link)/../\((link as NSString).lastPathComponent)/")
    #expect(second.err.contains("already served by pid \(sample.process.pid)"), "\(second)")
  }

  @Test func terminatingEndsTheMountAndWhoWaits() throws {
    let sample = try Sample()
    let reader = try Child("cat stream", in: sample.directory)
    #expect(sample.wait(for: "parked", toBe: 1))
    sample.process.signal(SIGTERM)
    #expect(sample.process.ended() == 0)
    #expect(reader.hasEnded())
    #expect(!Sample.shell("grep '\(sample.directory)' /proc/self/mountinfo", in: "/").isOK)
  }

  @Test func aHungHandlerDoesNotKeepTheMount() throws {
    // The contract is 3 s with all that comes after. A clock would tell as much of this machine as of the program.
    let usual = MountOptions(name: "nodefs").patience
    #expect(usual <= .seconds(2))
    let sample = try Sample(["--patience", "\(usual / .seconds(1))"])
    let writer = try Child("echo 1 > hang", in: sample.directory)
    // The other thread still serves.
    #expect(sample.wait(for: "parked", toBe: 1))
    #expect(sample.run("cat hello").out == "hello, world\n")
    sample.process.signal(SIGTERM)
    #expect(sample.process.ended() == 3)
    #expect(writer.hasEnded())
    #expect(!Sample.shell("grep '\(sample.directory)' /proc/self/mountinfo", in: "/").isOK)
  }

  @Test func aParkedMkdirHoldsUpNobodyElse() throws {
    let sample = try Sample()
    _ = sample.run("cat objects/0/name; echo make 7 > control; cat objects/7/name")
    let maker = try Child("mkdir objects/999", in: sample.directory)
    #expect(sample.wait(for: "parked", toBe: 1))
    // The kernel has locked the directory for it, and makes our news of the removal wait.
    #expect(sample.run("echo drop 7 > control; cat hello objects/0/name").out == "hello, world\n0\n")
    maker.signal(SIGKILL)
    #expect(maker.hasEnded())
    #expect(sample.wait(for: "parked", toBe: 0))
    let gone = sample.run("cat objects/7/name")
    #expect(gone.status == 1, "\(gone)")

    let second = try Child("mkdir objects/999", in: sample.directory)
    #expect(sample.wait(for: "parked", toBe: 1))
    _ = sample.run("echo make 8 > control; echo drop 8 > control")
    sample.process.signal(SIGTERM)
    #expect(sample.process.ended() == 0)
    #expect(second.hasEnded())
  }

  @Test func whoeverWritesToAHungHandlerCanBeKilled() throws {
    let sample = try Sample()
    let writer = try Child("echo 1 > hang", in: sample.directory)
    #expect(sample.wait(for: "parked", toBe: 1))
    writer.signal(SIGKILL)
    #expect(writer.hasEnded())
    kill(sample.process.pid, SIGKILL)
  }

  @Test func anUnmountFromOutsideEndsTheServer() throws {
    let sample = try Sample()
    #expect(Sample.shell("umount '\(sample.directory)'", in: "/").isOK)
    #expect(sample.process.ended() == 0)
  }

  @Test func anAbortedConnectionEndsTheServerAndTheMount() throws {
    let control = "/sys/fs/fuse/connections"
    if !Sample.shell("test -n \"$(ls \(control))\" || mount -t fusectl none \(control)", in: "/").isOK {
      print("NodeFS: fusectl is not mounted and cannot be: the abort of a connection is NOT tested here")
      return
    }
    let sample = try Sample()
    let minor = Sample.shell(
      "awk '$5 == \"\(sample.directory)\" { split($3, d, \":\"); print d[2] }' /proc/self/mountinfo", in: "/"
    ).out
    let number = minor.trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(Sample.shell("echo 1 > \(control)/\(number)/abort", in: "/").isOK)
    #expect(sample.process.ended() == 0)
    #expect(!Sample.shell("grep '\(sample.directory)' /proc/self/mountinfo", in: "/").isOK)
  }

  @Test func othersSeeTheTreeOnlyWhenAskedAndThenByTheModes() throws {
    let asNobody = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    let closed = try Sample()
    let shut = Sample.shell("\(asNobody) cat '\(closed.directory)/hello'", in: "/")
    #expect(!shut.isOK && shut.out.isEmpty)
    let open = try Sample(["--allow-other"])
    #expect(open.run("\(asNobody) cat hello").out == "hello, world\n")
    for forbidden in [
      "cat stream", "cat picture.ppm", "sh -c 'echo 1 > level'", "sh -c 'echo 1 > press'", "mkdir objects/5",
    ] {
      let result = open.run("LC_ALL=C \(asNobody) \(forbidden)")
      #expect(!result.isOK && result.err.contains("Permission denied"), "\(forbidden): \(result)")
    }
    #expect(open.run("cat level").out == "50\n")
  }
}

/// A process inside the mount that is expected to wait there. It replaces its shell, so signals reach it.
extension Child {
  convenience init(_ script: String, in directory: String) throws {
    try self.init([
      "bash", "-c", "cd '\(directory)' || exit 99\n" + (script.contains(">") ? script : "exec \(script)"),
    ])
  }

  /// Whether it ends; waits for that.
  func hasEnded() -> Bool { ended() != nil }
}

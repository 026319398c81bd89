// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Making and removing objects with mkdir and rmdir while the pipeline runs.
@Suite(.ownThread) struct ObjectTests {
  @Test func aNewChannelIsMadeBoundRunAndRemoved() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try run("mkdir", served.path("venc/3")).status == 0)
    let keys = HelpPage(try served.cat("help")).keys(of: "venc/N")
    let listed = Set(try run("ls", "-A", served.path("venc/3")).lines.map(String.init))
    #expect(listed == keys.subtracting(["stream", "stream.ts", "stream.mp4", "stream.mjpeg"]))
    #expect(try served.value("venc/3/state") == "stopped")
    #expect(try served.value("venc/3/source") == "")
    #expect(try served.cat("config").contains("venc/3/enable = 0\n"))

    try served.echo("vpss/0/1", to: "venc/3/source")
    try served.echo("1", to: "venc/3/enable")
    #expect(try served.advances("venc/3", "frames_out", by: 10))
    #expect(try eventually { try served.value("venc/3/state") == "running" })
    #expect(SystemPage(try served.cat("vsys")).row("venc", 3) != nil)
    #expect(EncoderPage(try served.cat("venc_info")).value(3, "venc chn attr 1", "Width") == "320")

    // In use: busy, and the reason names what to do.
    let busy = try run("rmdir", served.path("venc/3"))
    #expect(busy.errors.contains("Device or resource busy"))
    #expect(try served.errorLog().last?.contains("echo 0 > venc/3/enable") == true)
    let wholesale = try run("rm", "-r", served.path("venc/3"))
    #expect(wholesale.errors.contains("Operation not permitted") && !wholesale.errors.contains("not implemented"))
    // One line for all of them, which leaves the one before.
    let log = try served.errorLog()
    #expect(log.last?.contains(" and \(listed.count - 1) more EPERM(1): ") == true, "\(log)")
    #expect(log.dropLast().last?.contains("echo 0 > venc/3/enable") == true)
    #expect(try served.exists("venc/3/bitrate"))

    try served.echo("0", to: "venc/3/enable")
    try served.echo("", to: "venc/3/source")
    #expect(try served.value("venc/3/source") == "")
    #expect(try run("rmdir", served.path("venc/3")).status == 0)
    #expect(try !served.exists("venc/3"))
    #expect(try !served.cat("config").contains("venc/3/"))
    #expect(SystemPage(try served.cat("vsys")).row("venc", 3) == nil)
    #expect(try served.advances("venc/0", "frames_out", by: 10))
  }

  @Test func aWholeChainCanBeBuiltByHand() throws {
    let served = try Served(["--load", "none"])
    #expect(try served.cat("config") == "create\n")
    #expect(try served.moves)
    let script = """
      set -e
      cd "$1"
      mkdir vi/1 vpss/1 vpss/1/2 venc/9
      echo 320 > vi/1/width; echo 240 > vi/1/height
      echo vi/1 > vpss/1/source
      echo 160 > vpss/1/2/width; echo 120 > vpss/1/2/height
      echo vpss/1/2 > venc/9/source
      for o in venc/9 vpss/1/2 vpss/1 vi/1; do echo 1 > $o/enable; done
      """
    let outcome = try shell(script, served.at)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try served.advances("venc/9", "frames_out", by: 20))
    let recording = try Recording(served, "venc/9/stream")
    #expect(try served.advances("venc/9", "frames_out", by: 20))
    recording.stop()
    #expect(try Video.complaints(recording.file) == "")
    #expect(try Video.frames(recording.file).last?.width == 160)
    // Taken apart in the wrong order it names who is in the way; in the right order it goes.
    let wrong = try run("rmdir", served.path("vpss/1"))
    #expect(wrong.status != 0)
    let apart = try shell(
      """
      set -e
      cd "$1"
      for o in venc/9 vpss/1/2 vpss/1 vi/1; do echo 0 > $o/enable; done
      rmdir venc/9 vpss/1/2 vpss/1 vi/1
      """, served.at)
    #expect(apart.status == 0, "\(apart.errors)")
    #expect(try served.cat("config") == "create\n")
    #expect(
      try eventually { AllocationPage(try served.cat("valloc")).buffers.isEmpty },
      "memory of removed objects is still there")
  }

  @Test func aSourceInUseNamesItsUser() throws {
    let served = try Served(configuration: Pipelines.small())
    try served.echo("0", to: "vpss/0/0/enable")
    #expect(try run("rmdir", served.path("vpss/0/0")).errors.contains("Device or resource busy"))
    #expect(try served.errorLog().last?.contains("venc/0") == true)
    #expect(try served.exists("vpss/0/0/width"))
  }

  @Test(arguments: [
    ("venc/64", "Numerical result out of range"), ("venc/-1", "Invalid argument"), ("venc/abc", "Invalid argument"),
    ("venc/007", "Invalid argument"), ("vpss/0/4", "Numerical result out of range"), ("venc/0", "File exists"),
    ("venc/" + String(repeating: "7", count: 256), "File name too long"),
    ("other", "Operation not permitted"), ("venc/0/more", "Operation not permitted"),
    ("rk_dmabuf/x", "Operation not permitted"),
  ]) func whatCannotBeMadeIsRefused(node: String, message: String) throws {
    let served = try Shared.pipeline
    let outcome = try run("mkdir", served.path(node))
    #expect(outcome.status != 0 && outcome.errors.contains(message), "mkdir \(node): \(outcome.errors)")
  }

  @Test(arguments: ["touch \"$1/venc/0/new\"", "touch \"$1/new\"", "cp /etc/passwd \"$1/venc\""])
  func aFileThatIsNotThereIsNotMade(script: String) throws {
    let outcome = try shell(script, try Shared.pipeline.at)
    #expect(outcome.status != 0 && outcome.errors.contains("No such file or directory"), "\(script): \(outcome.errors)")
  }

  @Test(arguments: [
    "rm -f \"$1/vsys\"", "mv \"$1/vsys\" \"$1/other\"",
    "ln -s x \"$1/link\"", "ln \"$1/vsys\" \"$1/hard\"", "mkfifo \"$1/fifo\"", "rm \"$1/venc/0/bitrate\"",
    "rmdir \"$1/venc\"", "chmod 777 \"$1/vsys\"", "chown nobody \"$1/vsys\"",
  ]) func theTreeIsNoPlaceForFiles(script: String) throws {
    let served = try Shared.pipeline
    let outcome = try shell(script, served.at)
    #expect(outcome.status != 0, "\(script) worked")
    #expect(outcome.errors.contains("Operation not permitted"), "\(script): \(outcome.errors)")
  }

  @Test func theSameNumberAgainIsAnotherObject() throws {
    let served = try Served(configuration: Pipelines.small())
    let script = """
      import errno, os, sys
      d = sys.argv[1] + '/venc/5'
      os.mkdir(d)
      node, generation = os.stat(d).st_ino, open(d + '/stats').read().split('generation: ')[1].split()[0]
      fd = os.open(d + '/bitrate', os.O_RDWR)
      text = os.open(d + '/stats', os.O_RDONLY)
      first = os.pread(text, 4096, 0)
      os.rmdir(d)
      def attempt(what):
          try:
              what(); return 'worked'
          except OSError as e:
              return errno.errorcode[e.errno]
      print(attempt(lambda: os.pread(fd, 100, 0)), attempt(lambda: os.pread(text, 100, 0)), attempt(lambda: os.write(fd, b'300\\n')))
      os.mkdir(d)
      print(attempt(lambda: os.pread(fd, 100, 0)), attempt(lambda: os.write(fd, b'300\\n')))
      print('new inode' if os.stat(d).st_ino != node else 'same inode')
      again = open(d + '/stats').read().split('generation: ')[1].split()[0]
      print('new generation' if int(again) > int(generation) else generation + ' again')
      print(open(d + '/bitrate').read(), end='')
      """
    let outcome = try python(script, served.at)
    #expect(
      outcome.lines == ["ENODEV ENODEV ENODEV", "ENODEV ENODEV", "new inode", "new generation", "2000"],
      "\(outcome.text)\(outcome.errors)")
  }

  @Test func namesAppearAndVanishAtOnce() throws {
    // The kernel keeps names for long; what is made and removed through one path must not linger in its cache.
    let served = try Served(configuration: Pipelines.small())
    let script = """
      import os, sys
      d = sys.argv[1] + '/venc/7'
      for i in range(50):
          assert not os.path.exists(d)
          os.mkdir(d)
          assert os.path.exists(d + '/bitrate') and '7' in os.listdir(sys.argv[1] + '/venc')
          os.rmdir(d)
          assert not os.path.exists(d + '/bitrate')
      # Made from the side: by a configuration.
      open(sys.argv[1] + '/config', 'w').write('create\\nvenc/7/bitrate = 300\\n')
      assert open(d + '/bitrate').read() == '300\\n'
      print('fine')
      """
    let outcome = try python(script, served.at)
    #expect(outcome.text == "fine\n", "\(outcome.errors)")
  }

  @Test func churnStopsNeitherPipelineNorReaders() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    let recording = try Recording(served, "venc/0/stream")
    let churn = try shell(
      """
      cd "$1"
      for i in $(seq 12); do
        mkdir venc/8 && echo vpss/0/1 > venc/8/source && echo 1 > venc/8/enable && cat venc/8/stats > /dev/null &&
        echo vpss/0/0 > venc/8/source && echo > venc/8/source && echo 0 > venc/8/enable && rmdir venc/8 || exit 1
        mkdir vpss/0/3 && echo 1 > vpss/0/3/enable && echo 0 > vpss/0/3/enable && rmdir vpss/0/3 || exit 1
      done
      """, served.at)
    #expect(churn.status == 0, "\(churn.errors)")
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    recording.stop()
    #expect(try Video.complaints(recording.file) == "")
    let numbers = try Video.patternNumbers(recording.file, width: 640, height: 360).compactMap { $0 }
    #expect(!numbers.isEmpty)
    try served.expectRising(numbers)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Many readers and writers at once, and what each operation costs in requests.
@Suite(.ownThread, .enabled(if: whyNoMount == nil, "nothing can be mounted here"), .serialized) struct LoadTests {
  @Test func readersBlockedOnStreamsHoldNothingAndDieAtOnce() throws {
    let sample = try Sample()
    let readers = try (0..<64).map { _ in try Child("cat stream", in: sample.directory) }
    #expect(sample.wait(for: "parked", toBe: 64))
    #expect(sample.run("cat hello").out == "hello, world\n")
    for (number, reader) in readers.enumerated() { reader.signal(number % 2 == 0 ? SIGINT : SIGKILL) }
    for reader in readers { #expect(reader.hasEnded()) }
    #expect(sample.wait(for: "parked", toBe: 0), "the kernel's requests are released, too")
    #expect(sample.wait(for: "cursors", toBe: 0), "and the cursors closed")
    #expect(sample.wait(for: "interrupts", toBe: 64))
  }

  @Test func aStreamReachesEveryReaderWhole() throws {
    let sample = try Sample()
    let result = sample.run(
      """
      for i in 1 2 3 4; do cat stream > /tmp/s.$$.$i & done
      until grep -q '^cursors: 4$' stats; do :; done
      for i in {1..200}; do echo "line $i of the feed"; done > /tmp/s.$$.all
      while read -r x; do echo "$x" > feed; done < /tmp/s.$$.all
      echo 1 > finish; wait
      for i in 1 2 3 4; do cmp /tmp/s.$$.$i /tmp/s.$$.all || echo differs; done; rm /tmp/s.$$.*
      """)
    #expect(result.out.isEmpty && result.isOK, "\(result)")
  }

  @Test func removalReachesReadersWritersAndNames() throws {
    let sample = try Sample()
    _ = sample.run("echo make 7 > control; cat objects/7/value objects/7/name; ls objects/7")
    let reader = try Child("cat objects/7/stream", in: sample.directory)
    #expect(sample.wait(for: "parked", toBe: 1))
    let result = sample.run(
      """
      LC_ALL=C; export LC_ALL; before=$(stat -c %i objects/7); exec 5<objects/7/value 6>objects/7/value
      echo renew 7 > control
      cat <&5; echo 1 >&6
      # The kernel is told afterwards that the name means another.
      until inode=$(stat -c %i objects/7 2> /dev/null) && test "$before" != "$inode"; do :; done
      cat objects/7/value; echo another
      """)
    #expect(result.out == "0\nanother\n", "\(result)")
    #expect(result.err.components(separatedBy: "No such device").count == 3, "\(result)")
    #expect(reader.hasEnded())
    #expect(!sample.run("echo drop 7 > control; cat objects/7/value").isOK)
    #expect(sample.run("ls objects").out == "0\n")
  }

  @Test func readersAndWritersUnderChurn() throws {
    let sample = try Sample()
    _ = sample.run("echo 1 > churn")
    // Each round must end, whatever comes and goes meanwhile; nothing may be torn.
    let script = """
      import os, sys, time
      seed, torn = int(sys.argv[1]), 0
      end = time.monotonic() + 4
      rounds = 0
      while rounds == 0 or time.monotonic() < end:
          rounds += 1
          name = "objects/%d" % (100 + (rounds * 7 + seed) % 32)
          try:
              if seed % 2:
                  with open(name + "/value", "w") as f: f.write("5")
              else:
                  text = open(name + "/name").read()
                  if text != name[8:] + "\\n": torn += 1
          except OSError as e:
              if e.errno not in (2, 19, 116): torn += 1
          names = os.listdir("objects")
          if "0" not in names or len(set(names)) != len(names): torn += 1
          renders = {l.split()[1] for l in open("big").read().splitlines()}
          if len(renders) != 1: torn += 1
      os.write(1, b"%d %d\\n" % (rounds, torn))
      """
    let result = sample.run(
      "cat > /tmp/churn.$$.py <<'EOF'\n\(script)\nEOF\nfor i in {1..32}; do python3 /tmp/churn.$$.py $i & done; wait; rm /tmp/churn.$$.py"
    )
    let lines = result.out.split(separator: "\n").map { $0.split(separator: " ") }
    #expect(result.isOK && lines.count == 32, "\(result)")
    for line in lines { #expect(line.count == 2 && line[1] == "0" && (Int(line[0]) ?? 0) > 0, "\(line)") }
    #expect(sample.run("echo 0 > churn; cat hello").out == "hello, world\n")
    // Who has been answered is let go of afterwards.
    #expect(sample.wait(for: "parked", toBe: 0))
  }

  /// Synchronous requests of `body`, a Python statement run in the mount after `before`, once the kernel knows the names.
  private func requests(_ body: String, before: String = "pass") throws -> [String: Int] {
    let script = """
      import os, subprocess
      stats = os.open("stats", os.O_RDONLY)
      def counts():
          text = os.pread(stats, 65536, 0).decode()
          return {k[9:]: int(v) for k, v in (l.split(": ") for l in text.splitlines()) if k.startswith("requests_")}
      \(before)
      def body():
          \(body)
      body()
      body()
      a = counts()
      body()
      b = counts()
      b["read"] -= 1
      # Not waited for by the caller.
      for name in ("release", "forget", "batch_forget", "interrupt"): b.pop(name, 0)
      for name, count in sorted(b.items()):
          if count != a.get(name, 0): print(name, count - a.get(name, 0))
      """
    let result = try Sample().run("python3 - <<'EOF'\n\(script)\nEOF")
    #expect(result.isOK, "\(result)")
    var counted: [String: Int] = [:]
    for line in result.out.split(separator: "\n") {
      let words = line.split(separator: " ")
      counted[String(words[0])] = Int(words[1])
    }
    return counted
  }

  @Test func aWarmCatIsFourRequests() throws {
    // Where the machine takes long between two requests the kernel is made to ask once more.
    let isFour = try eventually {
      let counted = try requests("subprocess.run(['cat', 'hello'], stdout=subprocess.DEVNULL)")
      #expect(counted["open"] == 1 && counted["read"] == 2, "\(counted)")
      return counted.values.reduce(0, +) <= 4
    }
    #expect(isFour)
  }

  @Test func openReadToTheEndCloseIsThree() throws {
    // Where the machine takes long between two requests the kernel is made to ask once more.
    let isThree = try eventually {
      try requests("f = os.open('hello', os.O_RDONLY); os.read(f, 4096); os.read(f, 4096); os.close(f)")
        == ["open": 1, "read": 2]
    }
    #expect(isThree)
  }

  @Test func aReadOfAKeptDescriptorIsOne() throws {
    #expect(try requests("os.pread(kept, 4096, 0)", before: "kept = os.open('hello', os.O_RDONLY)") == ["read": 1])
  }

  @Test func anEchoIsOpenAndWrite() throws {
    let counted = try requests("f = os.open('press', os.O_WRONLY | os.O_TRUNC); os.write(f, b'1\\n'); os.close(f)")
    #expect(counted == ["open": 1, "write": 1])
    // A setting's length changes with it, for which the kernel asks at the next open.
    let setting = try requests("f = os.open('level', os.O_WRONLY | os.O_TRUNC); os.write(f, b'5\\n'); os.close(f)")
    #expect(setting["open"] == 1 && setting["write"] == 1 && setting.values.reduce(0, +) <= 3, "\(setting)")
  }
}

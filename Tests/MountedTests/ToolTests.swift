// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What people's tools do to the tree.
@Suite(.ownThread) struct ToolTests {
  /// Over the whole tree: each must come to an end.
  @Test(arguments: [
    #"grep -r "module:" "$1""#, #"busybox grep -r "module:" "$1""#, #"grep -rI "frames" "$1""#,
    #"find "$1" -type f -exec cat {} +"#, #"find "$1" -type f -exec busybox cat {} \;"#, #"cp -r "$1" "$2/copy""#,
    #"busybox cp -r "$1" "$2/busyboxcopy""#, #"tar -cf "$2/a.tar" -C "$1" ."#, #"rsync -a "$1/" "$2/rsync""#,
    #"ls -lR "$1""#, #"busybox ls -lR "$1""#, #"du -a "$1""#, #"find "$1" -ls"#,
    #"wc -c $(find "$1" -type f -perm -0444)"#,
    #"md5sum $(find "$1" -type f -perm -0444)"#, #"stat -f "$1"; df "$1"; df -a"#,
  ]) func comesToAnEnd(script: String) throws {
    let served = try Shared.pipeline
    let directory = served.scratch + "/" + UUID().uuidString
    #expect(try run("mkdir", directory).status == 0)
    let outcome = try served.whenFramesCome { try shell(script, served.at, directory) }
    #expect(!outcome.timedOut, "\(script)")
    // `df -a` also looks at what else is mounted here, such as a tree whose server a test beside this one has just killed.
    let complaints = outcome.errors.split(separator: "\n").filter { line in
      !(line.hasPrefix("df: ") && !line.contains(served.at)) && !line.contains("binary file matches")
    }
    #expect(complaints.isEmpty, "\(script): \(complaints)")
    // Most of it is pictures, of which no text is to be made.
    #expect(
      !outcome.output.isEmpty || script.hasPrefix("cp") || script.contains("tar") || script.contains("rsync")
        || script.contains("busybox cp"))
  }

  @Test func aCopyOfTheWholeTreeEndsWithStatusZero() throws {
    // With what cannot be read: commands, sinks, and pictures of channels that do not run.
    let served = try Served(configuration: Pipelines.small("vi/1/width = 64\nvdec/0/enable = 0\nvo/0/enable = 0"))
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    for script in [
      #"cp -r "$1" "$2/cp""#, #"cp -a "$1" "$2/cpa""#, #"busybox cp -r "$1" "$2/busybox""#,
      #"set -o pipefail; tar -c -C "$1" . | cat > "$2/a.tar""#, #"rsync -a "$1/" "$2/rsync""#,
    ] {
      let outcome = try served.whenFramesCome { try shell(script, served.at, served.scratch) }
      #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(script): \(outcome.status) \(outcome.errors)")
    }
    let empty = try shell(
      #"cd "$1"; wc -c < vi/1/snapshot.jpg; wc -c < venc/0/idr; wc -c < vdec/0/feed"#, served.scratch + "/cp")
    #expect(empty.text == "0\n0\n0\n")
    #expect(try run("cmp", served.path("venc/0/bitrate"), served.scratch + "/rsync/venc/0/bitrate").status == 0)
    #expect(try Video.jpegSize(served.scratch + "/rsync/vi/0/snapshot.jpg") == (640, 360))
  }

  @Test func archivesHoldTheText() throws {
    let served = try Shared.pipeline
    for script in [
      #"tar -cf - -C "$1" venc/0/bitrate config | tar -xOf -"#,
      #"cd "$1" && busybox tar -cf - venc/0/bitrate config | tar -xOf -"#,
    ] {
      let outcome = try shell(script, served.at)
      #expect(outcome.text == "2000\n" + (try served.cat("config")), "\(script): \(outcome.errors)")
    }
  }

  @Test func copiesHoldTheText() throws {
    let served = try Shared.pipeline
    let copy = served.scratch + "/whole"
    _ = try shell(#"cp -r "$1" "$2""#, served.at, copy)
    for node in ["vsys", "config", "venc/0/bitrate", "vcodec/enc/venc_info", "help"] {
      let text = try String(contentsOfFile: copy + "/" + node, encoding: .utf8)
      #expect(text.split(separator: "\n").first == (try served.cat(node)).split(separator: "\n").first, "\(node)")
    }
  }

  /// One value, by every means people read with.
  @Test(arguments: [
    #"cat "$1/venc/0/bitrate""#, #"busybox cat "$1/venc/0/bitrate""#, #"read -r x < "$1/venc/0/bitrate"; echo "$x""#,
    #"echo "$(< "$1/venc/0/bitrate")""#, #"head -n 1 "$1/venc/0/bitrate""#, #"head -c 5 "$1/venc/0/bitrate""#,
    #"tail -n 1 "$1/venc/0/bitrate""#, #"tail -c 5 "$1/venc/0/bitrate""#,
    #"dd if="$1/venc/0/bitrate" bs=1 status=none"#,
    #"dd if="$1/venc/0/bitrate" bs=1M status=none"#, #"awk '{ print $1 }' "$1/venc/0/bitrate""#,
    #"sed -n 1p "$1/venc/0/bitrate""#, #"grep . "$1/venc/0/bitrate""#, #"sort "$1/venc/0/bitrate""#,
    #"python3 -c 'import sys; print(open(sys.argv[1]).read(), end="")' "$1/venc/0/bitrate""#,
    #"python3 -c 'import sys; print(open(sys.argv[1], "rb", buffering=0).readall().decode(), end="")' "$1/venc/0/bitrate""#,
    #"cp "$1/venc/0/bitrate" "$2/value" && cat "$2/value""#,
    // It looks once a second whether there is more.
    #"tail -f "$1/venc/0/bitrate" >"$2/tail" & until grep -qs . "$2/tail"; do sleep 0.05; done; sleep 2; kill $!; cat "$2/tail""#,
    #"perl -e 'open F, "<", $ARGV[0]; print <F>' "$1/venc/0/bitrate""#,
    #"mapfile -t a < "$1/venc/0/bitrate"; echo "${a[0]}""#,
    #"tee < "$1/venc/0/bitrate""#, #"busybox dd if="$1/venc/0/bitrate" bs=3 2>/dev/null"#,
    #"paste "$1/venc/0/bitrate""#,
  ]) func givesTheValue(script: String) throws {
    let served = try Shared.pipeline
    let directory = served.scratch + "/" + UUID().uuidString
    #expect(try run("mkdir", directory).status == 0)
    let outcome = try shell(script, served.at, directory)
    #expect(outcome.text == "2000\n", "\(script): \(outcome.text)\(outcome.errors)")
  }

  /// One value, by every means people write with.
  @Test func takesTheValue() throws {
    let served = try Served(configuration: Pipelines.small())
    let scripts = [
      #"echo $2 > "$1""#, #"echo $2 >> "$1""#, #"printf %s $2 > "$1""#, #"printf '%s\n' $2 > "$1""#,
      #"busybox sh -c 'echo $0 > "$1"' $2 "$1""#, #"dash -c 'echo $0 > "$1"' $2 "$1""#, #"echo $2 | tee "$1""#,
      #"echo $2 | dd of="$1" status=none"#, #"echo $2 | dd of="$1" conv=notrunc status=none"#,
      #"python3 -c 'import sys; open(sys.argv[1], "w").write(sys.argv[2])' "$1" $2"#,
      #"echo $2 > /tmp/v.$$; cp /tmp/v.$$ "$1"; s=$?; rm /tmp/v.$$; exit $s"#,
      #"cat <<< $2 > "$1""#, #"echo $2 | sponge "$1" 2>/dev/null || echo $2 > "$1""#, #"busybox echo $2 > "$1""#,
      #"echo $2 | busybox tee "$1""#, #"perl -e 'open F, ">", $ARGV[0]; print F $ARGV[1]; close F or exit 1' "$1" $2"#,
    ]
    for (number, script) in scripts.enumerated() {
      let value = String(1000 + number)
      let outcome = try shell(script, served.path("venc/0/bitrate"), value)
      #expect(outcome.status == 0, "\(script): \(outcome.errors)")
      #expect(try served.value("venc/0/bitrate") == value, "\(script)")
    }
  }

  @Test func aKeptDescriptorReadsAnewAtOffsetZero() throws {
    let served = try Shared.pipeline
    let outcome = try python(
      """
      import os, sys, time
      fd = os.open(sys.argv[1], os.O_RDONLY)
      def count(text):
          return int([l for l in text.decode().split('\\n') if l.startswith('frames_out')][0].split()[1])
      first = os.pread(fd, 65536, 0)
      # Short reads slice the text of the moment it was asked for at offset 0.
      pieces, at = b'', 0
      whole = os.pread(fd, 65536, 0)
      os.lseek(fd, 0, os.SEEK_SET)
      while True:
          piece = os.read(fd, 7)
          if not piece: break
          pieces += piece
      assert pieces.startswith(b'created_us: ') and pieces.endswith(b'\\n'), pieces
      assert os.pread(fd, 100, 1 << 20) == b''
      # As long as it takes: the test gives up by itself.
      while count(os.pread(fd, 65536, 0)) <= count(first):
          time.sleep(0.01)
      print('fine')
      """, served.path("vi/0/stats"))
    #expect(outcome.text == "fine\n", "\(outcome.errors)")
  }

  @Test func modesOwnersAndTimesAreTrue() throws {
    let served = try Shared.pipeline
    let outcome = try run(
      "stat", "-c", "%n %a %u %g %h %F", served.path("vsys"), served.path("venc_info"), served.path("venc/0/bitrate"),
      served.path("venc/0/idr"), served.path("venc/0"), served.path("venc/0/snapshot.jpg"))
    let found = outcome.lines.map {
      $0.replacingOccurrences(of: served.at + "/", with: "").replacingOccurrences(of: " empty", with: "")
    }
    #expect(
      found == [
        "vsys 444 0 0 1 regular file", "venc_info 444 0 0 2 regular file", "venc/0/bitrate 644 0 0 1 regular file",
        "venc/0/idr 200 0 0 1 regular file", "venc/0 755 0 0 2 directory", "venc/0/snapshot.jpg 400 0 0 1 regular file",
      ])
    // A value that stands still has its length, so that tools which trust it (tar, busybox) get the text.
    #expect(try run("stat", "-c", "%s", served.path("venc/0/bitrate")).text == "5\n")
    let times = try run("stat", "-c", "%Y", served.path("vsys"), served.path("venc/0/bitrate")).lines
    let now = Int(Date().timeIntervalSince1970)
    #expect(times.allSatisfy { abs(now - (Int($0) ?? 0)) < 3600 }, "\(times)")
  }

  @Test func aChangedSettingHasANewTime() throws {
    let served = try Served(configuration: Pipelines.small())
    let path = served.path("venc/0/bitrate")
    let before = try run("stat", "-c", "%.Y", path).text
    let changed = try eventually {
      try served.echo("600", to: "venc/0/bitrate")
      return try run("stat", "-c", "%.Y", path).text != before
    }
    #expect(changed)
  }

  @Test func thirtyTwoReadersAndWritersUnderChurn() throws {
    let served = try Served(configuration: Pipelines.small())
    let end = served.scratch + "/end"
    // Each says when it has been through twice; an errno that the contract does not know ends it.
    let script = """
      import errno, os, random, sys
      root, number, end = sys.argv[1], int(sys.argv[2]), sys.argv[3]
      # The last is of a busy machine: what was asked for had not been done after two seconds.
      known = {errno.ENOENT, errno.ENODEV, errno.EEXIST, errno.EBUSY, errno.ENOTEMPTY, errno.ETIMEDOUT}
      rounds = 0
      def quiet(action):
          try: action()
          except OSError as e:
              if e.errno not in known: raise
      def write(path, text):
          fd = os.open(root + '/' + path, os.O_WRONLY)
          try: os.write(fd, text)
          finally: os.close(fd)
      def read(path):
          with open(root + '/' + path, 'rb') as f: f.read()
      while not os.path.exists(end):
          rounds += 1
          if number < 12:
              quiet(lambda: read(random.choice(['vsys', 'valloc', 'venc_info', 'metrics', 'report', 'config', 'health'])))
          elif number < 18:
              quiet(lambda: write('venc/0/bitrate', b'%d\\n' % random.randint(200, 2000)))
          elif number < 22:
              quiet(lambda: [read('venc/%s/stats' % n) for n in os.listdir(root + '/venc')])
          elif number < 24:
              def some():
                  fd = os.open(root + '/venc/0/stream', os.O_RDONLY)
                  try: os.read(fd, 4096)
                  finally: os.close(fd)
              quiet(some)
          else:
              n = 10 + number
              quiet(lambda: os.mkdir(root + '/venc/%d' % n))
              quiet(lambda: write('venc/%d/source' % n, b'vpss/0/1\\n'))
              quiet(lambda: read('venc/%d/config' % n))
              quiet(lambda: write('venc/%d/source' % n, b'\\n'))
              quiet(lambda: os.rmdir(root + '/venc/%d' % n))
          if rounds == 2: print('twice', flush=True)
      # What was refused for want of time is there still.
      while number >= 24 and os.path.exists(root + '/venc/%d' % (10 + number)):
          quiet(lambda: os.rmdir(root + '/venc/%d' % (10 + number)))
      """
    let children = try (0..<32).map { try Child(["python3", "-c", script, served.at, String($0), end]) }
    // The pipeline goes on meanwhile.
    #expect(try served.advances("vi/0", "frames_out", by: 150))
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    for (number, child) in children.enumerated() {
      #expect(eventually { child.outputText == "twice\n" || !child.isRunning }, "\(number) stands still")
    }
    #expect(FileManager.default.createFile(atPath: end, contents: nil))
    for (number, child) in children.enumerated() {
      #expect(child.ended() == 0, "\(number): \(child.errors)")
    }
    #expect(try eventually { try run("ls", served.path("venc")).text == "0\n" })
    let stats = try served.stats("venc/0")
    #expect(stats["frames_in"] == (stats["frames_out"] ?? 0) + (stats["dropped"] ?? 0) + (stats["in_flight"] ?? 0))
  }

  @Test func manySnapshotsAtOnceDoNotStarveThePipeline() throws {
    let served = try Shared.pipeline
    func ask() throws -> [Child] {
      try (0..<8).map { number in
        try Child([
          "sh", "-c", #"cat "$1" | wc -c"#, "sh", served.path(["vi/0", "vpss/0/0"][number % 2] + "/snapshot.jpg"),
        ])
      }
    }
    // All at once, and again where a busy machine gave no frame in the two seconds in which one is waited for.
    var readers = try ask()
    #expect(
      try eventually {
        for reader in readers { reader.ended() }
        if !readers.contains(where: { $0.errors.contains("Resource temporarily unavailable") }) { return true }
        readers = try ask()
        return false
      })
    for reader in readers {
      #expect(reader.ended() == 0)
      #expect(Int(reader.outputText.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 > 1000, "\(reader.errors)")
    }
    #expect(try served.advances("venc/0", "frames_out", by: 10))
  }

  @Test func aWarmCatCostsFewRequests() throws {
    let served = try Served(["--load", "none"])
    func requests() throws -> [String: Double] {
      let family = "mpifs_filesystem_requests_total"
      return Dictionary(
        uniqueKeysWithValues: Metrics(try served.cat("metrics")).samples.filter { $0.key.hasPrefix(family) }
          .map { (String($0.key.dropFirst(family.count)), $0.value) })
    }
    /// Of ten reads, by operation, without what the counting itself costs.
    func cost() throws -> [String: Double] {
      _ = try served.cat("vsys")
      _ = try requests()
      let (first, second) = (try requests(), try requests())
      for _ in 0..<10 { _ = try served.cat("vsys") }
      let third = try requests()
      var cost: [String: Double] = [:]
      for operation in ["lookup", "open", "read", "getattr"] {
        let key = "{cause=\"\(operation)\"}"
        let counts = [first, second, third].map { $0[key] ?? 0 }
        cost[operation] = counts[2] - counts[1] - (counts[1] - counts[0])
      }
      return cost
    }
    // Each of them is waited for; RELEASE is not. READ comes twice, for the text and for its end. GETATTR is `cat`'s fstat,
    // and the kernel asks once more where a busy machine lets what it knew of the length grow old between open and fstat.
    // Whoever else looks at the tree meanwhile is counted too, so it is asked until nobody does.
    var last: [String: Double] = [:]
    #expect(
      try eventually {
        last = try cost()
        return last["lookup"] == 0 && last["open"] == 10 && last["read"] == 20 && last["getattr"] ?? 0 <= 20
      }, "\(last)")
  }
}

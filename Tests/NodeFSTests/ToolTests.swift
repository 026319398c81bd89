// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What the programs people really use make of the nodes. The table in Sources/NodeFS/SEMANTICS.md is this file's.
@Suite(.ownThread, .enabled(if: whyNoMount == nil, "nothing can be mounted here")) struct ToolTests {
  @Test(arguments: [
    "cat hello", "dd if=hello bs=1 2>/dev/null", "dd if=hello bs=7 2>/dev/null", "head -n 1 hello", "head -c 13 hello",
    "tail -n 1 hello", "tail -c 13 hello", "tail -c +1 hello", "tac hello", "grep hello hello", "sed -n p hello",
    "awk 1 hello", "sort hello", "less hello | cat", "busybox cat hello", "busybox head hello",
    "busybox tail hello", "busybox grep hello hello", "busybox dd if=hello bs=3 2>/dev/null",
    "busybox less hello | cat",
    "cp hello /tmp/copy.$$ && cat /tmp/copy.$$ && rm /tmp/copy.$$",
    "cp -r objects /tmp/copy.$$ && rm -r /tmp/copy.$$ && cat link", "cat hello_again",
    "read -r x < hello; echo \"$x\"", "echo \"$(<hello)\"", "mapfile -t x < hello; echo \"${x[0]}\"",
    "while read -r x; do echo \"$x\"; done < hello", "xargs < hello echo",
    "python3 -c 'print(open(\"hello\").read(), end=\"\")'",
    "python3 -c 'import os; f = os.open(\"hello\", os.O_RDONLY); print(os.pread(f, 99, 0).decode(), end=\"\")'",
    "perl -pe 1 hello",
  ])
  func aReaderGetsTheText(script: String) throws {
    let result = try Sample().run(script)
    #expect(result.out == "hello, world\n" && result.isOK, "\(result)")
  }

  @Test(arguments: [
    ("wc -c < hello", "13\n"), ("wc -l hello", "1 hello\n"),
    ("md5sum < hello", "22c3683b094136c3398391ae71b20f04  -\n"),
    ("cmp hello hello_again && echo same", "same\n"), ("diff hello hello_again && echo same", "same\n"),
    ("stat -c '%s %a %h %U' hello", "13 444 2 root\n"),
    ("stat -c %a level press stream picture.ppm objects upload", "644\n200\n400\n400\n755\n200\n"),
    ("test -r hello && test -s hello && test ! -s empty && echo yes", "yes\n"), ("readlink link", "hello\n"),
    ("ls objects/0", "name\nvalue\n"), ("ls objects/0/stream", "objects/0/stream\n"), ("cat empty", ""),
    ("wc -l < big", "5000\n"), ("dd if=big bs=7 2>/dev/null | cut -d' ' -f2 | sort -u | wc -l", "1\n"),
    ("dd if=big bs=1 count=20000 2>/dev/null | cut -d' ' -f2 | head -n 900 | sort -u | wc -l", "1\n"),
    ("tail -n 1 big | cut -d' ' -f3-", "line 4999\n"), ("head -c 65536 big | wc -c", "65536\n"),
    ("echo 9 > level; cat level", "9\n"), ("printf 8 > level; cat level", "8\n"),
    ("echo 7 | tee level; cat level", "7\n7\n"),
    ("echo 6 >> level; cat level", "6\n"), ("echo 12 | dd of=level 2>/dev/null; cat level", "12\n"),
    ("echo 13 > /tmp/v.$$; cp /tmp/v.$$ level; rm /tmp/v.$$; cat level", "13\n"),
    ("python3 -c 'open(\"level\",\"w\").write(\"14\")'; cat level", "14\n"),
    ("busybox sh -c 'echo 15 > level'; cat level", "15\n"),
    ("echo 16 1<> level >&0; cat level", "50\n"),
    ("touch level hello && truncate -s 0 level && truncate -s 99 level && cat level", "50\n"),
    ("exec 5<> level; echo 21 >&5; exec 5>&-; cat level", "21\n"),
    (
      "exec 5< level; cat <&5; echo 22 > level; python3 -c 'import os; print(os.pread(5, 9, 0).decode(), end=\"\")'",
      "50\n22\n"
    ),
    // These believe the size.
    ("tar -cf - hello big | tar -xOf - | wc -l", "5001\n"),
    ("mkdir /tmp/r.$$; rsync -a hello big /tmp/r.$$/ && cat /tmp/r.$$/* | wc -l; rm -r /tmp/r.$$", "5001\n"),
    ("tail -n 1 big | cut -d' ' -f3-; tail -c 10 big", "line 4999\nline 4999\n"),
    // These begin with sendfile(2), also where the length the kernel knows was set to 0 a moment ago.
    ("busybox cat big | wc -l; busybox cp big /tmp/b.$$; wc -l < /tmp/b.$$; rm /tmp/b.$$", "5000\n5000\n"),
    (
      "python3 -c 'import shutil; shutil.copyfile(\"hello\", \"/tmp/s.%d\" % __import__(\"os\").getppid())'; cat /tmp/s.$$; rm /tmp/s.$$",
      "hello, world\n"
    ),
    ("echo x > level 2> /dev/null; busybox cat level; echo 7 > level; busybox cat level", "50\n7\n"),
    ("busybox cat picture.ppm | head -c 2; busybox cat empty", "P6"),
    (
      "busybox cat stream & until grep -q \"^cursors: 1\" stats; do :; done; echo x > feed; echo 1 > finish; wait",
      "x\n"
    ),
    // It looks once a second whether there is more.
    (
      "tail -f hello > /tmp/f.$$ 2>/dev/null & t=$!; until [ -s /tmp/f.$$ ]; do sleep 0.01; done; sleep 2; kill $t; cat /tmp/f.$$; rm /tmp/f.$$",
      "hello, world\n"
    ),
    ("cat picture.ppm | head -c 2", "P6"), ("cat press upload drain; cp press /tmp/p.$$ && wc -c < /tmp/p.$$", "0\n"),
    ("stat -f -c '%c %d' .", "0 0\n"),
    (
      "cat stream < /dev/null & until grep -q \"^cursors: 1\" stats; do :; done; echo x > feed; echo 1 > finish; wait",
      "x\n"
    ),
    ("dd if=stream iflag=nonblock 2>&1 | head -n 1", "dd: error reading 'stream': Resource temporarily unavailable\n"),
    (
      "python3 -c '\nimport os\nf = os.open(\"stream\", os.O_RDONLY)\ntry: os.lseek(f, 0, 0)\nexcept OSError as e: print(e.errno)'",
      "29\n"
    ),
    (
      "python3 -c 'import os; print(os.listxattr(\"hello\"))' 2>&1 | tail -n 1 | cut -d: -f2; ls -l hello 2>&1 | wc -l",
      " [Errno 95] Operation not supported\n1\n"
    ),
    (
      "mkdir objects/3 && echo 4 > objects/3/value && cat objects/3/value objects/3/name && rmdir objects/3 && ls objects",
      "4\n3\n0\n"
    ),
    ("cd objects/0; cat name; cd ../..; cat hello", "0\nhello, world\n"),
    ("find . -maxdepth 1 -name stream", ""), ("df . | tail -n 1 | awk '{ print $2 }'", "0\n"),
    ("head -c 131072 /dev/zero | dd of=whole bs=131072 iflag=fullblock 2>/dev/null; wc -c < whole", "131072\n"),
  ])
  func aToolDoesWhatTheTableSays(script: String, expected: String) throws {
    let result = try Sample().run(script)
    #expect(result.out == expected, "\(result)")
  }

  @Test(arguments: [
    ("echo x > level", "Invalid argument"), ("echo 101 > level", "Numerical result out of range"),
    ("echo 1 > hello", "Permission denied"), ("echo 1 >> hello", "Permission denied"),
    ("exec 5<> upload", "Permission denied"), ("exec 5<> drain", "Permission denied"),
    ("truncate -s 0 hello", "Permission denied"),
    ("echo 1 > stream", "Permission denied"),
    ("chmod 666 level", "Operation not permitted"), ("chown nobody level", "Operation not permitted"),
    ("echo 1 > newfile", "No such file or directory"), ("mkfifo pipe", "Operation not permitted"),
    ("rm -f hello", "Operation not permitted"), ("rm -rf objects/0", "Operation not permitted"),
    ("mv hello bye", "Operation not permitted"), ("ln hello bye", "Operation not permitted"),
    ("ln -s hello bye", "Operation not permitted"), ("mkdir new", "Operation not permitted"),
    ("rmdir objects", "Operation not permitted"), ("mkdir objects/x", "Invalid argument"),
    ("mkdir objects/0", "File exists"), ("rmdir objects/0", "Device or resource busy"),
    ("sed -i s/hello/bye/ hello", "No such file or directory"), ("cat none", "No such file or directory"),
    ("cat $(printf %0256d 0)", "File name too long"), ("mkdir objects/$(printf %0256d 0)", "File name too long"),
    ("echo 1 > $(printf %0256d 0)", "File name too long"), ("rmdir objects/$(printf %0256d 0)", "File name too long"),
    ("mv hello $(printf %0256d 0)", "File name too long"), ("cat $(printf %0255d 0)", "No such file or directory"),
    ("cat failing", "Input/output error"), ("echo 1 > never", "Connection timed out"),
    ("echo 1 > forgetful", "Input/output error"), ("cat no_picture", "Connection timed out"),
    ("head -c 5000 /dev/zero | dd of=level bs=5000 iflag=fullblock", "Argument list too long"),
    ("head -c 131073 /dev/zero | dd of=whole bs=131073 iflag=fullblock", "Argument list too long"),
    ("head -c 600000 /dev/zero | dd of=whole bs=600000 iflag=fullblock", "Argument list too long"),
    ("echo 1 | dd of=whole seek=1", "Invalid argument"),
    (
      "exec 5< objects/0/value; cat <&5 > /dev/null; mkdir objects/9; exec 6< objects/9/value; rmdir objects/9; cat <&6",
      "No such device"
    ),
    ("python3 -c 'f = open(\"level\",\"w\"); f.write(\"x\"); f.flush()'", "Invalid argument"),
  ])
  func aRefusalHasItsErrno(script: String, text: String) throws {
    let result = try Sample().run("LC_ALL=C; export LC_ALL; " + script)
    #expect(!result.isOK && result.err.contains(text), "\(result)")
  }

  @Test func aRefusedWriteChangesNothing() throws {
    let sample = try Sample()
    for value in ["x", "101", "-1", "", "50x", "5 0"] { _ = sample.run("echo '\(value)' > level") }
    #expect(sample.run("head -c 4000 /dev/urandom > level").status != 0)
    #expect(sample.run("cat level").out == "50\n")
  }

  @Test(arguments: [
    "grep -r nothing_has_this .", "busybox grep -r nothing_has_this .", "find . -type f -exec cat {} + > /dev/null",
    "busybox find . -type f -exec cat {} \\; > /dev/null",
    "cp -r . /tmp/tree.$$; ls /tmp/tree.$$/hello; rm -rf /tmp/tree.$$",
    "cp -a . /tmp/tree.$$; rm -rf /tmp/tree.$$", "tar -cf /dev/null .", "tar -c . | cat > /dev/null",
    "rsync -a . /tmp/tree.$$/; rm -rf /tmp/tree.$$", "ls -lR > /dev/null", "du -a . > /dev/null",
    "md5sum $(find . -type f) > /dev/null",
  ])
  func aWalkOverTheWholeTreeEnds(script: String) throws {
    let result = try Sample().run(script)
    #expect(result.status != 124 && result.status != 137, "it hangs: \(result)")
  }

  @Test func copyingKeepsQuietAboutAttributes() throws {
    let sample = try Sample()
    let result = sample.run("cp -a hello /tmp/a.$$ && ls -l /tmp/a.$$ hello > /dev/null; rm /tmp/a.$$")
    #expect(result.isOK && result.err.isEmpty, "\(result)")
  }

  @Test func modificationTimesAreTrue() throws {
    let sample = try Sample()
    #expect(
      sample.run(
        "a=$(stat -c %.9Y level); echo 3 > level; b=$(stat -c %.9Y level); echo x > level; "
          + "test $a != $b && test $b = $(stat -c %.9Y level) && test $(( $(date +%s) - $(stat -c %Y level) )) -lt 20"
      ).isOK)
    #expect(sample.run("a=$(stat -c %.9Y hello); cat hello; test $a = $(stat -c %.9Y hello)").isOK)
  }

  @Test func refusalsReachTheOwner() throws {
    let sample = try Sample()
    _ = sample.run("echo 1 > hello; mkdir new; rm hello; chmod 0 level; touch x")
    #expect(
      sample.run("cat refusals").out == """
        hello: open for writing: errno 13
        new: mkdir: errno 1
        hello: unlink: errno 1
        level: chmod: errno 1
        x: create: errno 2

        """)
  }

  @Test func aBlobArrivesWhole() throws {
    let sample = try Sample()
    _ = sample.run("head -c 500000 /dev/zero | tr '\\0' '\\1' > upload")
    #expect(
      sample.run("until grep -q '^bytes: 500000$' uploaded; do sleep 0.01; done; cat uploaded").out
        == "bytes: 500000\nsum: 500000\n")
  }
}

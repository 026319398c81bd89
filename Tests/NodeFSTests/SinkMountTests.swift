// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

/// What writers make of a sink, through the kernel.
@Suite(.ownThread, .enabled(if: whyNoMount == nil, "nothing can be mounted here")) struct SinkMountTests {
  @Test(arguments: [
    // All of a file, in pieces, with a reader who is slower.
    (
      "head -c 300000 /dev/zero | tr '\\0' a > /tmp/w.$$; (sleep 0.3; echo 200000 > drain_more; sleep 0.3; echo 200000 > drain_more) & "
        + "cat /tmp/w.$$ > drain; wait; rm /tmp/w.$$; cat drained", "bytes: 300000\nsum: 29100000\nwriters: 1\n"
    ),
    // Every way to write; the offset means nothing.
    (
      "echo 1000 > drain_more; echo ab > drain; closed; printf cd >> drain; closed; echo ef | dd of=drain bs=1 2>/dev/null; closed; "
        + "echo gh | tee drain > /dev/null; sed -n 's/^bytes: //p' drained", "11\n"
    ),
    // A writer that stays open writes one stream.
    (
      "echo 1000 > drain_more; exec 5> drain; echo a >&5; echo b >&5; exec 5>&-; cat drained",
      "bytes: 4\nsum: 215\nwriters: 1\n"
    ),
    // One at a time.
    ("exec 5> drain; (echo x > drain) 2>&1 | grep -o busy", "busy\n"),
    // Not for reading, not to seek in, and listed.
    ("cat drain; (exec 5<> drain) 2>&1 | grep -o 'Permission denied'", "Permission denied\n"),
    (
      "python3 -c 'import os; f = os.open(\"drain\", 1); os.lseek(f, 1, 0)' 2>&1 | tail -n 1",
      "OSError: [Errno 29] Illegal seek\n"
    ),
    ("stat -c '%a %s' drain; ls | grep -x drain", "200 0\ndrain\n"),
    // Who must not wait is told what was taken, then to come again.
    (
      "echo 5 > drain_more; python3 -c 'import os; f = os.open(\"drain\", os.O_WRONLY | os.O_NONBLOCK); print(os.write(f, b\"abcdefgh\")); os.write(f, b\"fgh\")' 2>&1 "
        + "| grep -o -E '^5|Resource temporarily unavailable'", "5\nResource temporarily unavailable\n"
    ),
    // A signal ends a wait, with the count of what was taken, or with nothing.
    (
      "echo 3 > drain_more; cat /etc/passwd > drain & w=$!; until grep -q '^bytes: 3$' drained; do :; done; kill $w; wait $w; echo $?; "
        + "sed -n 's/^bytes: //p' drained; closed; dd if=/etc/passwd of=drain 2>/dev/null & w=$!; until grep -q '^parked: 1$' stats; do :; done; "
        + "kill -KILL $w; wait $w; echo $?; until grep -q '^parked: 0$' stats; do :; done; sed -n 's/^bytes: //p' drained",
      "143\n3\n137\n3\n"
    ),
  ])
  func aWriterIsServedAsByAPipe(script: String, output: String) throws {
    // A close is waited for by nobody, and the sink has one writer at a time.
    let result = try Sample().run("closed() { until grep -q '^drain_writers: 0$' stats; do :; done; }\n" + script)
    #expect(result.out == output, "\(result)")
  }

  @Test func whoWaitsHoldsNoServingThread() throws {
    let sample = try Sample()
    // Far more writes that wait, one for each of many nodes' worth of time, than there are serving threads.
    let result = sample.run(
      """
      cat /etc/passwd > drain & writer=$!
      until grep -q '^parked: 1$' stats; do :; done
      for i in $(seq 200); do cat hello > /dev/null || echo no; done
      sed -n 's/^parked: //p' stats
      kill $writer; wait $writer 2>/dev/null; echo ended
      """)
    #expect(result.out == "1\nended\n", "\(result)")
  }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// As many objects as there are numbers, and what is left when they are gone.
@Suite(.ownThread) struct CapacityTests {
  @Test func everyNumberCanBeUsedAndTheWholeSaved() throws {
    let served = try Served(["--load", "none"])
    let made = try shell(
      """
      cd "$1" && mkdir vi/{0..63} vpss/{0..63} vpss/{0..63}/{0..3} venc/{0..63}
      """, served.at)
    #expect(made.status == 0, "\(made.errors)")
    let config = try served.cat("config")
    #expect(config.utf8.count > 50_000)
    #expect(config.utf8.count < 240 << 10, "the largest configuration would not be taken back")
    let nodes = SystemPage(try served.cat("vsys")).rows
    #expect(nodes.count == 64 + 64 * 5 + 64)
    #expect(try shell(#"promtool check metrics < "$1""#, served.path("metrics")).status == 0)
    // So much at once may take longer than a writer is kept waiting; the work goes on then, as the refusal says, or was not
    // begun, and the text is written again.
    func configure(_ text: String) throws {
      let outcome = try served.answered {
        // Larger than what `cat` writes at once.
        try Child.run(
          ["dd", "bs=256K", "iflag=fullblock", "status=none", "conv=notrunc", "of=\(served.path("config"))"],
          input: Data(text.utf8))
      }
      #expect(outcome.status == 0, "\(outcome.errors)")
    }
    try configure(config)
    #expect(try eventually { try served.cat("config") == config })
    try configure("replace\n# nothing\n")
    #expect(try eventually { try served.cat("config") == "create\n" })
    #expect(try eventually { SystemPage(try served.cat("vsys")).rows.isEmpty })
  }

  @Test func idsAreNeverUsedAgain() throws {
    let served = try Served(["--load", "none"])
    var seen: Set<Int> = []
    for _ in 0..<5 {
      #expect(try run("mkdir", served.path("venc/1")).status == 0)
      let row = try #require(SystemPage(try served.cat("vsys")).row("venc", 1))
      #expect(seen.insert(row.id).inserted)
      #expect(try run("rmdir", served.path("venc/1")).status == 0)
    }
  }

  @Test func nothingIsLeftOfWhatWasRemoved() throws {
    let served = try Served(configuration: Pipelines.small())
    func left() throws -> (files: Int, threads: Int, buffers: Int) {
      let outcome = try shell(#"ls /proc/$1/fd | wc -l; ls /proc/$1/task | wc -l"#, String(served.pid))
      let counts = outcome.lines.compactMap { Int($0) }
      return (counts[0], counts[1], AllocationPage(try served.cat("valloc")).buffers.count)
    }
    let round = """
      cd "$1"
      # Who is told that the program has not come to it in time comes again.
      patiently() {
        local said
        until said=$("$@" 2>&1 > /dev/null); do
          case $said in *"timed out"* | *"resource busy"* | *"temporarily unavailable"*) ;; *) echo "$said" >&2; exit 1 ;; esac
        done
      }
      set_to() { echo "$1" > "$2"; }
      mkdir vi/2 vpss/2 vpss/2/0 venc/12 venc/13 &&
      echo 320 > vi/2/width && echo 240 > vi/2/height && echo vi/2 > vpss/2/source &&
      echo 320 > vpss/2/0/width && echo 240 > vpss/2/0/height && echo vpss/2/0 > venc/12/source &&
      echo vpss/2/0 > venc/13/source && echo mjpeg > venc/13/codec || exit 1
      for o in venc/12 venc/13 vpss/2/0 vpss/2 vi/2; do patiently set_to 1 $o/enable; done
      head -c 3000 venc/12/stream > /dev/null && head -c 3000 venc/13/stream > /dev/null || exit 1
      patiently cat vi/2/snapshot.jpg
      for o in venc/12 venc/13 vpss/2/0 vpss/2 vi/2; do patiently set_to 0 $o/enable; done
      rmdir venc/12 venc/13 vpss/2/0 vpss/2 vi/2
      """
    func once() throws {
      let outcome = try shell(round, served.at)
      #expect(outcome.status == 0, "\(outcome.errors)")
    }
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    // The first rounds may start threads that are kept.
    for _ in 0..<2 { try once() }
    let before = try left()
    let rounds = 6
    for _ in 0..<rounds { try once() }
    // What a round leaves behind, each leaves. Less is what a busier moment has started and keeps: serving threads come with the
    // requests that are there at once.
    let gone = try eventually {
      let now = try left()
      return now.files < before.files + rounds && now.threads < before.threads + rounds
        && now.buffers < before.buffers + rounds
    }
    let after = try left()
    #expect(gone, "before \(before), after \(after)")
  }
}

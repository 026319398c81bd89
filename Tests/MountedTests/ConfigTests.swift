// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `config`: the whole configuration as one text, read, written and loaded.
@Suite(.ownThread) struct ConfigTests {
  @Test func theDefaultIsTheFileInTheRepository() throws {
    let file = try String(contentsOfFile: Machine.repository + "/mount/mpifs.conf", encoding: .utf8)
    let settings = file.split(separator: "\n").filter { !$0.hasPrefix("#") && !$0.isEmpty }
    #expect(try Shared.pipeline.cat("config").split(separator: "\n") == settings)
  }

  @Test func everySettingStandsInCanonicalOrder() throws {
    let served = try Shared.pipeline
    let text = try served.cat("config").split(separator: "\n")
    #expect(text.first == "create")
    let lines = text.dropFirst()
    var objects: [Substring] = []
    var keys: [Substring: [Substring]] = [:]
    for line in lines {
      let path = line.split(separator: " ")[0]
      let slash = try #require(path.lastIndex(of: "/"))
      let object = path[..<slash]
      if objects.last != object { objects.append(object) }
      keys[object, default: []].append(path[path.index(after: slash)...])
    }
    #expect(objects == ["vi/0", "vpss/0", "vpss/0/0", "vpss/0/1", "venc/0", "venc/1", "venc/2"])
    let help = HelpPage(try served.cat("help"))
    for object in objects {
      let type = ["vi/0": "vi/N", "vpss/0": "vpss/N"][object] ?? (object.hasPrefix("vpss") ? "vpss/N/M" : "venc/N")
      #expect(
        keys[object]?.map(String.init) == help.rows.filter { $0.object == type && $0.kind == "setting" }.map(\.key))
      #expect(keys[object]?.last == "enable")
    }
    // What the files say is what the lines say.
    for line in lines where line.hasPrefix("venc/1/") {
      let parts = line.components(separatedBy: " = ")
      #expect(try served.value(parts[0].replacingOccurrences(of: " =", with: "")) == (parts.count > 1 ? parts[1] : ""))
    }
  }

  @Test func aSavedConfigurationMakesTheSamePipeline() throws {
    let one = try Served(
      configuration: Pipelines.small(
        "venc/0/fps_src = 30\nvenc/0/fps_dst = 15\nvpss/0/1/mirror = 1\nvpss/0/crop = 0,0,320,180\nvenc/4/gop = 7"))
    let text = try one.cat("config")
    let file = one.scratch + "/saved"
    #expect(try shell(#"cat "$1" > "$2""#, one.path("config"), file).status == 0)
    let two = try Served(["--load", file])
    // A start that takes long is not waited for.
    #expect(try eventually { try two.cat("config") == text })
    #expect(try two.advances("venc/0", "frames_out", by: 5))
    // And back into the first, in each of the ways people do that.
    for script in [#"cat "$2" > "$1""#, #"cp "$2" "$1""#, #"dd if="$2" of="$1" bs=128k status=none"#] {
      let outcome = try shell(script, one.path("config"), file)
      #expect(outcome.status == 0, "\(script): \(outcome.errors)")
      #expect(try one.cat("config") == text, "\(script)")
    }
    #expect(try one.advances("venc/0", "frames_out", by: 5))
  }

  @Test func aHereDocumentChangesSeveralSettingsAtOnce() throws {
    let served = try Served(configuration: Pipelines.small())
    let outcome = try shell(
      """
      cat > "$1" <<'END'
      # a comment, and looser spacing

        venc/0/bitrate=700
      venc/0/gop   =   30
      vi/0/input = file:/no\\\\such\\nfile
      END
      """, served.path("config"))
    // The last line is refused, so none is taken.
    #expect(outcome.status != 0)
    #expect(try served.value("venc/0/bitrate") == "400")
    let good = try shell(
      """
      cat > "$1" <<'END'
      # a comment, and looser spacing

        venc/0/bitrate=700
      venc/0/gop = 30
      END
      """, served.path("config"))
    #expect(good.status == 0, "\(good.errors)")
    #expect(try served.value("venc/0/bitrate") == "700")
    #expect(try served.value("venc/0/gop") == "30")
  }

  @Test func aBadSeventhLineChangesNothingAndIsNamed() throws {
    let served = try Served(configuration: Pipelines.small())
    let before = try served.cat("config")
    let inode = try run("stat", "-c", "%i", served.path("venc/0")).text
    for bad in [
      "venc/0/bitrate = 1", "venc/0/bitrate = fast", "venc/0/nonsense = 1", "nonsense", "venc/99/gop = 5",
      "venc/9/gop = 5",
      "venc/0/idr = 1", "venc/0/state = running", "rgn/0/width = 64", "venc/0/gop = 5\u{1}",
    ] {
      let text = """
        # one
        # two
        # three
        venc/0/bitrate = 777
        vpss/0/1/mirror = 1

        \(bad)
        venc/0/gop = 20

        """
      let outcome = try served.configure(text)
      #expect(outcome.status != 0, "\(bad)")
      #expect(try served.cat("config") == before, "\(bad)")
      let line = try #require(try served.errorLog().last)
      #expect(line.contains("line 7"), "\(line)")
    }
    #expect(try run("stat", "-c", "%i", served.path("venc/0")).text == inode)
    #expect(try served.advances("venc/0", "frames_out", by: 5))
  }

  @Test func aTypingErrorMakesNoObject() throws {
    let served = try Served(configuration: Pipelines.small())
    let outcome = try served.configure("venc/9/bitrate = 700\n")
    #expect(outcome.errors.contains("No such file or directory"))
    #expect(try served.errorLog().last?.contains("line 1: venc/9/bitrate: there is no venc/9; mkdir makes one") == true)
    #expect(try !served.exists("venc/9"))
    #expect(try served.configure("create\nvenc/9/bitrate = 700\n").status == 0)
    #expect(try served.value("venc/9/bitrate") == "700")
    // What was saved brings back what was removed.
    let saved = try served.cat("config")
    #expect(try run("rmdir", served.path("venc/9")).status == 0)
    #expect(try served.configure(saved).status == 0)
    #expect(try served.cat("config") == saved)
  }

  @Test func whatIsSetForAnotherCodingIsKept() throws {
    let served = try Served(["--load", "none"])
    let text = "create\nvenc/0/codec = mjpeg\nvenc/0/bitrate = 700\n"
    #expect(try served.configure(text).status == 0)
    #expect(try served.cat("venc/0/active") == "unused: bitrate: fixqp holds no bitrate; its size follows quality\n")
    #expect(try served.cat("config").contains("venc/0/bitrate = 700\n"))
    try served.echo("h264", to: "venc/0/codec")
    #expect(try served.value("venc/0/bitrate") == "700")
    #expect(try served.cat("venc/0/active") == "")
  }

  @Test func aConflictFoundInTheEndNamesItsLine() throws {
    let served = try Served(configuration: Pipelines.small())
    let before = try served.cat("config")
    let text = "venc/0/fps_src = 10\nvenc/0/bitrate = 900\nvenc/0/fps_dst = 20\n"
    #expect(try served.configure(text).status != 0)
    #expect(try served.cat("config") == before)
    #expect(try served.errorLog().last?.contains("line 3") == true)
  }

  @Test func aFirstLineReplaceRemovesWhatIsNotNamed() throws {
    let served = try Served(
      configuration: Pipelines.small("venc/3/codec = mjpeg\nvenc/3/source = vpss/0/1\nvenc/3/enable = 1"))
    #expect(try served.advances("venc/3", "frames_out", by: 2))
    let text = "replace\n" + Pipelines.small()
    let outcome = try served.configure(text)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try !served.exists("venc/3"))
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    // Nothing named: nothing left.
    #expect(try served.configure("replace\n# nothing\n").status == 0)
    #expect(try served.cat("config") == "create\n")
    #expect(try run("ls", "-A", served.path("venc")).text.isEmpty)
  }

  @Test func aTextThatComesLineByLineRemovesNothing() throws {
    let served = try Served(configuration: Pipelines.small())
    let before = try served.cat("config")
    // bash's own printf makes a write of each line.
    let outcome = try shell(#"printf 'replace\nvenc/0/bitrate = 500\nvenc/0/gop = 15\n' > "$1""#, served.path("config"))
    #expect(outcome.status != 0)
    #expect(try shell(#"echo replace > "$1""#, served.path("config")).errors.contains("Invalid argument"))
    let line = try #require(try served.errorLog().last)
    #expect(line.contains("line 1") && line.contains("would remove every object"), "\(line)")
    let after = try served.cat("config")
    #expect(after.split(separator: "\n").count == before.split(separator: "\n").count)
    #expect(try served.value("venc/0/enable") == "1")
  }

  @Test func oneWriteOfAtMost240KiBIsOneTransaction() throws {
    let served = try Served(configuration: Pipelines.small())
    let before = try served.cat("config")
    let script = """
      import errno, os, sys
      path = sys.argv[1]
      def attempt(data, offset=None):
          fd = os.open(path, os.O_WRONLY)
          try:
              n = os.write(fd, data) if offset is None else os.pwrite(fd, data, offset)
              print('taken' if n == len(data) else 'short')
          except OSError as e:
              print(errno.errorcode[e.errno])
          os.close(fd)
      line = b'venc/0/bitrate = 600\\n'
      filler = b'#' * 99 + b'\\n'
      exact = filler * 2457 + b'#' * (245760 - 245700 - len(line) - 1) + b'\\n' + line
      assert len(exact) == 245760
      attempt(exact)
      attempt(b'#\\n' + exact)
      attempt(line[:-1])
      attempt(line, 100)
      """
    let outcome = try python(script, served.path("config"))
    #expect(outcome.lines == ["taken", "E2BIG", "EINVAL", "EINVAL"], "\(outcome.text)\(outcome.errors)")
    #expect(try served.cat("config") == before.replacingOccurrences(of: "bitrate = 400", with: "bitrate = 600"))
    let log = try served.errorLog()
    #expect(log.count >= 3)
    #expect(log.suffix(2).allSatisfy { $0.contains("cat") && $0.contains("here") }, "\(log.suffix(2))")
  }

  @Test func aTextWithoutItsLastNewlineSaysWhatToUse() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try shell(#"printf 'venc/0/gop = 5' > "$1""#, served.path("config")).errors.contains("Invalid argument"))
    let line = try #require(try served.errorLog().last)
    #expect(line.contains("newline") && line.contains("cat, cp or a here-document"), "\(line)")
    #expect(try served.value("venc/0/gop") == "15")
  }

  @Test(arguments: ["venc/0/bitrate = 1\n", "nonsense\n", "venc/0/gop = 5"]) func aBrokenFileAtStartEndsWithTheLine(
    bad: String
  ) throws {
    let directory = try Served.freshDirectory()
    defer { _ = try? run("rm", "-rf", "--one-file-system", directory) }
    let file = directory + "/broken.conf"
    try ("# one\n# two\nvenc/0/gop = 10\n" + bad).write(toFile: file, atomically: true, encoding: .utf8)
    let outcome = try run(Machine.binary, "--at", directory + "/mpi", "--load", file)
    #expect(outcome.status != 0 && !outcome.timedOut)
    // It is served before a file that takes long is read, and that is said.
    #expect(!outcome.text.contains("serving") || outcome.errors.contains("has not been read yet"), "\(outcome)")
    if bad.hasSuffix("\n") {
      #expect(outcome.errors.contains("broken.conf") && outcome.errors.contains("line 4"), "\(outcome.errors)")
    }
    #expect(try run("mountpoint", "-q", directory + "/mpi").status != 0)
  }
}

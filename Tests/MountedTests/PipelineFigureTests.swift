// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The default pipeline on `pattern` is really encoding, and the nodes' figures agree with each other and with what can
/// be seen from outside.
@Suite(.ownThread) struct PipelineFigureTests {
  let served: Served

  init() throws {
    served = try Shared.pipeline
    let moving = try eventually {
      try ["venc/0", "venc/1", "venc/2"].allSatisfy { (try served.stats($0)["frames_out"] ?? 0) > 2 }
    }
    try #require(moving, "the default pipeline does not encode")
  }

  @Test func theTreeHasTheNodesThatWorkAndNoOthers() throws {
    let help = HelpPage(try served.cat("help"))
    // Here the CPU is the only service.
    let pages = help.rows.filter(\.isPage).flatMap(\.paths).map {
      $0.replacingOccurrences(of: "/SERVICE/", with: "/cpu/")
    }
    #expect(
      Set(pages).isSuperset(of: ["vsys", "valloc", "venc_info", "vcodec/enc/venc_info", "rk_dmabuf/size", "health"]))
    let classes = help.rows.filter { !$0.isPage }.map { String($0.path.prefix { $0 != "/" }) }
    #expect(Set(classes) == ["vi", "vpss", "venc", "vdec", "vo", "vda", "rgn", "vb"])
    let top = try run("ls", "-A", served.at).lines.map(String.init)
    #expect(Set(top) == Set(pages.map { String($0.prefix { $0 != "/" }) }).union(classes))
    let files = try run("find", served.at, "-type", "f", "-printf", "%P\\n").lines.map(String.init)
    #expect(Set(files.filter { !classes.contains(String($0.prefix { $0 != "/" })) }) == Set(pages))
    let directories = try run("find", served.at, "-mindepth", "1", "-type", "d", "-printf", "%P\\n").lines
    let above = pages.flatMap { page in page.indices.filter { page[$0] == "/" }.map { String(page[..<$0]) } }
    #expect(
      Set(directories.map(String.init))
        == Set(above + classes).union([
          "venc/0", "venc/1", "venc/2", "vi/0", "vpss/0", "vpss/0/0", "vpss/0/1",
        ]))
  }

  @Test func everyReadableTextNodeCanBeRead() throws {
    let files = try run("find", served.at, "-type", "f", "-perm", "-0444").lines.map(String.init)
    #expect(files.count > 40)
    for file in files {
      let outcome = try run("cat", file)
      #expect(outcome.status == 0 && !outcome.timedOut, "\(file): \(outcome.errors)")
    }
  }

  @Test func vendorNodesNameThisProgram() throws {
    let version = try run(Machine.binary, "--version").text
    let commit = try #require(version.firstMatch(of: /commit: (\S+)/)).1
    let number = try #require(version.firstMatch(of: /mpifs (\S+)/)).1
    for node in ["vsys", "valloc", "vrgn"] {
      let lines = try served.cat(node).split(separator: "\n")
      #expect(lines[0] == "module: \(node)")
      #expect(lines[1] == "version: mpifs:\(commit)-v\(number)")
      #expect(lines[2].wholeMatch(of: /build: -\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d/) != nil)
    }
  }

  @Test func framesFlowAtTheRateAsked() throws {
    try served.expectPace("vi/0", 30, of: 90)
  }

  @Test func theCountsOfEveryObjectAddUp() throws {
    for object in ["vi/0", "vpss/0", "vpss/0/0", "vpss/0/1", "venc/0", "venc/1", "venc/2"] {
      for _ in 0..<5 {
        let stats = try served.stats(object)
        let framesIn = try #require(stats["frames_in"])
        let framesOut = try #require(stats["frames_out"])
        let dropped = try #require(stats["dropped"])
        let inFlight = try #require(stats["in_flight"])
        let causes = stats.filter { $0.key.hasPrefix("dropped_") }
        #expect(causes.count == 9)
        #expect(dropped == causes.values.reduce(0, +))
        #expect(inFlight >= 0)
        // An input makes its frames itself, a scaler group passes each to every output.
        if object.hasPrefix("venc") || object.hasPrefix("vpss/0/") {
          #expect(framesIn == framesOut + dropped + inFlight, "\(object): \(stats)")
        }
      }
    }
  }

  @Test func theSecondPictureChannelCodesOneFrameInThirty() throws {
    let before = try served.stats("venc/2")
    #expect(try served.advances("venc/2", "frames_out", by: 3))
    let after = try served.stats("venc/2")
    let arrived = (after["frames_in"] ?? 0) - (before["frames_in"] ?? 0)
    let coded = (after["frames_out"] ?? 0) - (before["frames_out"] ?? 0)
    let left = (after["dropped_frame_control"] ?? 0) - (before["dropped_frame_control"] ?? 0)
    // Of those that the table leaves, a busy machine may lose some or come to them later.
    let lost = (after["dropped"] ?? 0) - (before["dropped"] ?? 0) - left
    let waiting = (after["in_flight"] ?? 0) - (before["in_flight"] ?? 0)
    let taken = coded + lost + waiting
    #expect(abs(arrived - 30 * taken) <= 30, "\(taken) of \(arrived), \(before), \(after)")
    #expect(abs(left - 29 * taken) <= 30, "\(taken), \(left), \(before), \(after)")
    let page = SystemPage(try served.cat("vsys"))
    let row = try #require(page.row("venc", 2))
    #expect(row.baseIn == 30)
    let table = try #require(page.tables.first { $0.id == row.id && $0.side == "in" })
    #expect(table.entries.count == 30)
    #expect(table.entries.filter { $0 == 0 }.count == 1)
    #expect(table.entries.first == 0)
  }

  // MARK: vsys

  @Test func vsysShowsTheGraph() throws {
    let page = SystemPage(try served.cat("vsys"))
    let input = try #require(page.row("vi", 0))
    let encoders = try (0...2).map { try #require(page.row("venc", $0)) }
    let reached = page.reached(from: input.id)
    for encoder in encoders {
      #expect(reached.contains(encoder.id), "no way from vi to venc \(encoder.channel)")
      #expect(encoder.next.isEmpty)
      // Valid, streaming, bound as receiver.
      #expect(encoder.state & 0x3062 == 0x3062, "\(String(encoder.state, radix: 16))")
    }
    #expect(input.state & 0x1062 == 0x1062 && input.state & 0x2000 == 0)
    let ids = Set(page.rows.map(\.id))
    #expect(ids.count == page.rows.count)
    for row in page.rows { #expect(row.next.allSatisfy(ids.contains), "node \(row.id) feeds what is not there") }
    // One receiver has one source.
    let receivers = page.rows.flatMap(\.next)
    #expect(Set(receivers).count == receivers.count)
  }

  @Test(arguments: [0, 1, 2]) func vsysCountsWhatStatsCounts(channel: Int) throws {
    // `stats` is asked before and after: the count between must lie between.
    let before = try served.stats("venc/\(channel)")["frames_in"] ?? 0
    let row = try #require(SystemPage(try served.cat("vsys")).row("venc", channel))
    let after = try served.stats("venc/\(channel)")["frames_in"] ?? 0
    #expect((before...after).contains(row.framesIn))
  }

  @Test func vsysTellsRatesAndTimes() throws {
    let fine = try eventually {
      let page = SystemPage(try served.cat("vsys"))
      guard let input = page.row("vi", 0), let encoder = page.row("venc", 0) else { return false }
      return (28...32).contains(input.rateOut) && (28...32).contains(encoder.rateIn)
        && encoder.itime > 0 && input.otime > 0
    }
    let text = try served.cat("vsys")
    #expect(fine, "\(text)")
  }

  @Test func vrgnListsEveryNode() throws {
    let nodes = Set(SystemPage(try served.cat("vsys")).rows.map(\.id))
    let text = try served.cat("vrgn")
    #expect(text.hasSuffix("\n\n"))
    let list = try #require(text.range(of: "node_rgn list"))
    let listed = text[list.upperBound...].split(separator: "\n").dropFirst(2)
      .compactMap { $0.split(separator: " ").first.flatMap { Int($0) } }
    #expect(Set(listed) == nodes)
  }

  // MARK: memory

  @Test func vallocAddsUp() throws {
    let page = AllocationPage(try served.cat("valloc"))
    #expect(!page.buffers.isEmpty)
    #expect(page.total == page.buffers.map(\.size).reduce(0, +))
    #expect(!page.pools.isEmpty)
    for pool in page.pools {
      let members = page.buffers.filter { $0.pool == pool.id }
      #expect(members.count == pool.total, "pool \(pool.id)")
      #expect(members.allSatisfy { $0.size == pool.size })
      #expect(pool.minimum <= pool.free && pool.free <= pool.total)
      #expect(members.filter { $0.references == 0 }.count == pool.free)
    }
    for buffer in page.buffers {
      #expect(buffer.handle == "0x" + String(0x1000_0000 + buffer.id, radix: 16))
      #expect(!buffer.creator.isEmpty)
    }
  }

  @Test func vallocNamesUsersThatAreNodes() throws {
    let sawUsers = try eventually {
      let page = AllocationPage(try served.cat("valloc"))
      let nodes = SystemPage(try served.cat("vsys")).rows
      let users = page.buffers.flatMap(\.users)
      for user in users {
        #expect(nodes.contains { $0.id == user.id && $0.name == user.name }, "\(user)")
      }
      return !users.isEmpty
    }
    #expect(sawUsers, "no buffer was ever in use")
  }

  @Test func vallocAgreesWithTheProcessSeenFromOutside() throws {
    // Sizes of the distinct memory files and DMA-BUFs the process has open.
    let script = """
      import os, sys
      seen = {}
      d = '/proc/%s/fd' % sys.argv[1]
      for fd in os.listdir(d):
          try:
              name = os.readlink(d + '/' + fd)
              if name.startswith('/memfd:') or name.startswith('/dmabuf:'):
                  s = os.stat(d + '/' + fd)
                  seen[(s.st_dev, s.st_ino)] = s.st_size
          except OSError:
              pass
      print(' '.join(map(str, sorted(seen.values()))))
      """
    func rounded(_ sizes: [Int]) -> [Int] { sizes.map { ($0 + 4095) / 4096 * 4096 }.sorted() }
    var inside: [Int] = []
    var outside: [Int] = []
    let agree = try eventually {
      inside = rounded(AllocationPage(try served.cat("valloc")).buffers.map(\.size))
      let seen = try python(script, String(served.pid)).text
      outside = rounded(seen.split { $0 == " " || $0 == "\n" }.compactMap { Int($0) })
      return !inside.isEmpty && inside == outside
    }
    #expect(agree, "valloc \(inside)\n/proc  \(outside)")
  }

  @Test func dmabufSizeIsThatOfTheBuffersInWholePages() throws {
    var seen = ""
    let agree = try eventually {
      // The kernel's node counts whole pages, `valloc` the bytes asked for.
      let sizes = AllocationPage(try served.cat("valloc")).buffers.map { ($0.size + 4095) / 4096 * 4096 }
      seen = try served.cat("rk_dmabuf/size") + "\(sizes)"
      return seen.hasPrefix("Total: \(sizes.reduce(0, +) >> 10) KiB\n")
    }
    #expect(agree, "\(seen)")
    let size = try #require(try served.cat("rk_dmabuf/size").firstMatch(of: /Total: (\d+) KiB/)?.1)
    let peak = try #require(try served.cat("rk_dmabuf/peak").wholeMatch(of: /Peak: (\d+) MiB\n/)?.1)
    #expect(try #require(Int(peak)) >= (try #require(Int(size))) >> 10)
  }

  @Test func picturesMoveWithoutCopies() throws {
    // The pattern is drawn and a scaler writes a new picture; nobody else on the way may copy one. But JPEG has full range,
    // which the pictures of `venc/2` do not.
    for object in ["vpss/0", "venc/0", "venc/1"] {
      #expect(try served.stats(object)["bytes_copied"] == 0, "\(object)")
    }
  }
}

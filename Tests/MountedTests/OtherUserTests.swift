// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What users other than root get of a tree that lets them in, and what they can cost.
@Suite(.ownThread) struct OtherUserTests {
  /// Runs Python as nobody, in the tree.
  private func nobody(_ script: String, _ served: Served, timeout: Double = patience) throws -> Child.Outcome {
    try run(
      "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c",
      "import os, sys\n" + script,
      served.at, timeout: timeout
    )
  }

  @Test func theyReadTextAndNothingElse() throws {
    let served = try Served(["--allow-other"], configuration: Pipelines.small("vdec/0/enable = 0"))
    let outcome = try nobody(
      """
      os.chdir(sys.argv[1])
      read, refused, written = set(), set(), set()
      for folder, _, names in os.walk('.'):
          for name in names + (['stream'] if folder == './venc/0' else []):
              path = folder + '/' + name
              try:
                  with open(path, 'rb', 0) as f: f.read()
                  read.add(path)
              except PermissionError: refused.add(path)
              try:
                  os.close(os.open(path, os.O_WRONLY)); written.add(path)
              except PermissionError: pass
      print(sorted(refused), written)
      print(len(read) > 60, all(os.stat(p).st_mode & 0o777 in (0o444, 0o644) for p in read))
      try: os.mkdir('venc/9')
      except PermissionError: print('no directory')
      """, served)
    let pictures = ["vi/0", "vpss/0/0", "vpss/0/1", "vdec/0", "venc/0"].flatMap { object in
      ["jpg", "yuv"].map { "./\(object)/snapshot.\($0)" }
    }
    let addresses = ["./rk_dmabuf/sgt", "./rk_dma_heap/dma_heap_info"]
    let streams = ["./venc/0/stream", "./venc/0/idr", "./vdec/0/feed"]
    let refused = (pictures + addresses + streams).sorted().map { "'\($0)'" }
    #expect(outcome.lines.first == "[\(refused.joined(separator: ", "))] set()", "\(outcome)")
    #expect(outcome.lines.dropFirst() == ["True True", "no directory"], "\(outcome)")
  }

  @Test func theirDescriptorsCostLittle() throws {
    let served = try Served(["--allow-other"], configuration: Pipelines.small())
    func memory() throws -> Int {
      let status = try String(contentsOfFile: "/proc/\(served.pid)/status", encoding: .utf8)
      return Int(try #require(status.firstMatch(of: /RssAnon:\s+(\d+) kB/)).1) ?? 0
    }
    // What the pipeline takes for itself is there.
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    let before = try memory()
    // 900 reports take a debug build half a minute on a quiet machine.
    let outcome = try nobody(
      """
      os.chdir(sys.argv[1])
      held = [os.open('report', os.O_RDONLY) for _ in range(900)]
      total = 0
      for f in held:
          os.read(f, 10)
          total += os.fstat(f).st_size
      print(total)
      status = open('/proc/\(served.pid)/status').read()
      print(status.split('RssAnon:')[1].split()[0])
      # The newest goes on, the oldest is told and may begin again.
      print(len(os.read(held[-1], 10)))
      try: os.read(held[0], 10)
      except OSError as e: print(e.errno)
      print(len(os.pread(held[0], 10, 0)))
      """, served, timeout: 2 * patience)
    let lines = outcome.lines.map { Int($0) ?? -1 }
    try #require(lines.count == 5, "\(outcome)")
    #expect(lines[0] > 20 << 20, "the texts are too short to tell")
    #expect((lines[1] - before) << 10 < lines[0] * 2 / 3, "\(lines[1]) kB, \(before) kB before, for \(lines[0]) bytes")
    #expect(lines[2...] == [10, 12, 10], "\(outcome)")
    #expect(try served.errorLog().last?.contains(" report ENOMEM(12): ") == true)
  }
}

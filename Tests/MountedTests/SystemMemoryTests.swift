// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `rk_dmabuf` of the whole system, over a kernel that a test makes: machines that run tests seldom have a DMA-BUF.
@Suite(.ownThread) struct SystemMemoryTests {
  /// A folder with `proc` and `sys`, and a shell to change it.
  private final class Kernel {
    let root: String

    init() throws {
      root = try Served.freshDirectory()
      try script("mkdir -p proc sys/kernel/debug/dma_buf; list")
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    /// `process PID NAME`, `hold PID FD INODE SIZE EXPORTER NAME`, `list`: the last writes `bufinfo` of all that is held.
    func script(_ text: String) throws {
      let outcome = try shell(
        """
        cd "$1" || exit 1
        # Looked at every second: what appears is whole.
        process() {
          mkdir -p proc/new/fd proc/new/fdinfo proc/new/task/$1; echo "$2" >proc/new/comm; : >proc/new/maps
          mv proc/new proc/$1
        }
        hold() {
          printf 'pos:\\t0\\nflags:\\t02\\nmnt_id:\\t9\\nino:\\t%s\\nsize:\\t%s\\ncount:\\t1\\nexp_name:\\t%s\\nname:\\t%b\\n' \
            $3 $4 $5 "$6" >proc/$1/fdinfo/$2
          ln -s "/dmabuf:$6" proc/$1/fd/$2
          printf '%08d\\t00000002\\t000a0007\\t00000001\\t%s\\t%08d\\t%b\\n' $4 $5 $3 "$6" >>held
          printf '\\tAttached Devices:\\n\\tfe000000.vpu\\nTotal 1 devices attached\\n\\n' >>held
          echo $4 >>sizes
        }
        list() {
          touch held sizes
          {
            printf '\\nDma-buf Objects:\\nsize\\tflags\\tmode\\tcount\\texp_name\\tino\\tname\\n'; cat held
            printf '\\nTotal %d objects, %d bytes\\n' $(wc -l <sizes) $(awk '{ s += $1 } END { print s + 0 }' sizes)
          } >bufinfo.new
          mv bufinfo.new sys/kernel/debug/dma_buf/bufinfo
        }
        \(text)
        """, root)
      #expect(outcome.status == 0, "\(outcome.errors)")
    }
  }

  private func serve(_ kernel: Kernel, _ options: [String] = ["--load", "none"]) throws -> Served {
    try Served(["--kernel-root", kernel.root] + options)
  }

  @Test func withoutDescriptorsTheLookBeforeHoldsAndThePageSaysSo() throws {
    let kernel = try Kernel()
    try kernel.script("process 100 viewer; hold 100 3 7 8192 system viewer; rm -r sys")
    let served = try serve(kernel)
    #expect(try served.value("rk_dmabuf/size") == "Total: 8 KiB")
    // One is left: the number that is free. A look that was under way had others, so it is asked again until that is so.
    #expect(
      try eventually(longestPause: 100_000) {
        let used = Set(try run("ls", "/proc/\(served.pid)/fd").lines.compactMap { Int($0) })
        guard let free = (0...used.count).first(where: { !used.contains($0) }) else { return false }
        guard try run("prlimit", "--pid", "\(served.pid)", "--nofile=\(free + 1):").status == 0 else { return false }
        return try served.cat("rk_dmabuf/source").hasPrefix("failed: Too many open files; ")
      })
    #expect(try served.value("rk_dmabuf/size") == "Total: 8 KiB")
    #expect(try served.cat("rk_dmabuf/source").contains("\nvanished_processes: 0\n"))
    #expect(try served.refusal(of: "mark", to: "rk_dmabuf/growth").contains("Too many open files"))
    #expect(try run("prlimit", "--pid", "\(served.pid)", "--nofile=1024:").status == 0)
    #expect(try eventually { try served.cat("rk_dmabuf/source").hasPrefix("source: descriptors") })
    try served.echo("mark", to: "rk_dmabuf/growth")
  }

  /// The two commands of the manual: the program that leaks is named with its number and what it leaked.
  @Test func twoCommandsNameTheLeakerAndItsCount() throws {
    let kernel = try Kernel()
    try kernel.script("process 100 viewer; hold 100 3 7 4096 system viewer; list")
    let served = try serve(kernel)
    try served.echo("mark", to: "rk_dmabuf/growth")
    try kernel.script(
      "process 200 leaker; for n in 1 2 3 4 5; do hold 200 $n $((10 + n)) 65536 udmabuf leak; done; list")
    #expect(
      try eventually {
        try served.cat("rk_dmabuf/growth").contains(
          "\n  pid=200 process=leaker buffers=5 bytes=327680 name=leak exporter=udmabuf age=")
      })
    let page = try served.cat("rk_dmabuf/growth")
    #expect(page.contains("1 buffers 4096 bytes then, 6 buffers 331776 bytes now: 5 came (327680 bytes), 0 went\n"))
    #expect(!page.contains("pid=100"))
    #expect(try served.cat("rk_dmabuf/by_process").split(separator: "\n")[1].split(separator: " ")[0] == "200")
    #expect(try served.cat("rk_dmabuf/size") == "Total: 324 KiB\n")
  }

  @Test func whatNoProcessHoldsStandsApart() throws {
    let kernel = try Kernel()
    let served = try serve(kernel)
    try served.echo("mark start", to: "rk_dmabuf/growth")
    try kernel.script("process 300 gone; hold 300 3 9 8192 system orphan; rm -r proc/300; list")
    let words = "  held by the kernel or a dead process:\n  buffers=1 bytes=8192 name=orphan exporter=system "
    #expect(try eventually { try served.cat("rk_dmabuf/growth").contains(words) })
    #expect(try served.cat("rk_dmabuf/by_process").contains("- (no_process)"))
    let dev = try served.cat("rk_dmabuf/dev")
    #expect(dev.hasSuffix("\n\n0000000000000009 orphan           system                    8 KiB fe000000.vpu\n"))
  }

  @Test func namedMarksAreKeptAndBounded() throws {
    let kernel = try Kernel()
    let served = try serve(kernel)
    for number in 1...8 { try served.echo("mark m\(number)", to: "rk_dmabuf/growth") }
    let refused = try shell(#"echo mark m9 >"$1""#, served.path("rk_dmabuf/growth"))
    #expect(refused.errors.contains("No space left on device"))
    #expect(try served.cat("error_log").contains(#"rk_dmabuf/growth "mark m9\n" ENOSPC(28): there are 8 marks"#))
    try served.echo("mark m1", to: "rk_dmabuf/growth")
    try served.echo("clear m2", to: "rk_dmabuf/growth")
    let names = try served.cat("rk_dmabuf/growth").matches(of: #/(?m)^mark (\S+):/#).map { String($0.1) }
    #expect(names == ["m3", "m4", "m5", "m6", "m7", "m8", "m1"])
    #expect(try shell(#"echo clear m2 >"$1""#, served.path("rk_dmabuf/growth")).errors.contains("No such file"))
    try served.echo("clear", to: "rk_dmabuf/growth")
    #expect(try served.cat("rk_dmabuf/growth").hasPrefix("no mark: "))
  }

  @Test func thePeakCountsOthersAndStaysZeroAfterAResetUntilOneComes() throws {
    let kernel = try Kernel()
    try kernel.script("process 100 a; hold 100 3 7 \(7 << 20) system x; list")
    let served = try serve(kernel)
    #expect(try served.cat("rk_dmabuf/peak") == "Peak: 7 MiB\n")
    try served.echo("0", to: "rk_dmabuf/peak")
    #expect(try served.cat("rk_dmabuf/peak") == "Peak: 0 MiB\n")
    // Several looks later, too.
    let looks = { try served.cat("rk_dmabuf/history").split(separator: "\n").count { $0.hasPrefix("second") } }
    let before = try looks()
    #expect(try eventually { try looks() >= before + 2 })
    #expect(try served.cat("rk_dmabuf/peak") == "Peak: 0 MiB\n")
    try kernel.script("hold 100 4 8 \(2 << 20) system y; list")
    #expect(try eventually { try served.cat("rk_dmabuf/peak") == "Peak: 9 MiB\n" })
    #expect(try served.cat("rk_dmabuf/size") == "Total: 9216 KiB\n")
  }

  @Test func aNameWithLineFeedsForgesNothing() throws {
    let kernel = try Kernel()
    try kernel.script(#"process 100 "$(printf 'a\nb')"; hold 100 3 7 4096 system 'x\nTotal 0 objects, 0 bytes'; list"#)
    let served = try serve(kernel)
    #expect(try served.cat("rk_dmabuf/source").contains("\ndmabuf_bytes: 4096\n"))
    #expect(try served.cat("rk_dmabuf/source").contains("\ndisagreements: 0\n"))
    #expect(try served.cat("rk_dmabuf/by_process").split(separator: "\n").count == 3)
    #expect(try served.cat("rk_dmabuf/dev").split(separator: "\n").count == 2)
  }

  @Test func ownMemoryThatIsNoDMABufIsInTheSizeBesideTheSystems() throws {
    let kernel = try Kernel()
    try kernel.script("process 100 a; hold 100 3 7 4096 system x; list")
    let served = try serve(kernel, ["--input", "pattern"])
    #expect(try served.advances("venc/0", "frames_out", by: 3))
    #expect(
      try eventually {
        let page = try served.cat("rk_dmabuf/source")
        let size = try served.cat("rk_dmabuf/size")
        guard let own = page.firstMatch(of: #/own_bytes_that_are_no_dmabuf: (\d+)/#).flatMap({ Int($0.1) }), own > 0
        else { return false }
        return size == "Total: \((own + 4096) >> 10) KiB\n"
      })
  }

  @Test func contiguousMemoryIsAsTheKernelTellsIt() throws {
    let kernel = try Kernel()
    try kernel.script(
      """
      process 100 a; hold 100 3 7 65536 reserved frame; hold 100 4 8 4096 drm screen; list
      mkdir -p sys/kernel/debug/cma/reserved sys/kernel/debug/cma/vpu dev/dma_heap
      touch dev/dma_heap/reserved dev/dma_heap/system
      cd sys/kernel/debug/cma/reserved; echo 64 >count; echo 33 >used; echo 0 >order_per_bit; echo 4294967295 1 >bitmap
      """)
    let served = try serve(kernel)
    let size = getpagesize() / 1024
    let area = "Total: \(64 * size) KiB\n Used: \(33 * size) KiB\n\nFFFFFFFF 00000001\n"
    // What has a length of 0 when it is first asked for has no content for sendfile.
    #expect(try run("stat", "-c", "%s", served.path("rk_cma/reserved")).text == "\(area.utf8.count)\n")
    #expect(try served.cat("rk_cma/reserved") == area)
    #expect(try served.cat("rk_dma_heap/alloc_bitmap") == area)
    #expect(try served.cat("rk_cma/vpu") == "")
    #expect(try run("stat", "-c", "%a", served.path("rk_cma/vpu"), served.path("rk_dmabuf/sgt")).text == "444\n400\n")
    #expect(try served.refusal(of: "1", to: "rk_cma/reserved").contains("ermission denied"))
    #expect(
      try served.cat("rk_dma_heap/dma_heap_info") == """
        dma-heap:<reserved> -dmabuf\ti_ino = 7
        \tAlloc by (frame               )\t[?-?]\t0x0000000000010000 (64 KiB)
        \t\tAttached Devices:
        \t\tfe000000.vpu
        Total 1 devices attached


        Total : 0x10000 (64 KiB)

        """)
    #expect(try served.cat("report").contains("\n==> rk_cma/reserved <==\n" + area))
    #expect(try served.cat("help").contains("\nrk_cma/vpu "))
    #expect(try served.facts("rk_dmabuf/source")["cma_areas"] == "2")

    // One that goes is gone with the next look, and whoever has it open is told.
    try kernel.script("rm -r sys/kernel/debug/cma/vpu; echo 34 >sys/kernel/debug/cma/reserved/used")
    #expect(try eventually { try served.cat("rk_cma/reserved").contains(" Used: \(34 * size) KiB\n") })
    #expect(try eventually { try run("ls", served.path("rk_cma")).text == "reserved\n" })
    try kernel.script("rm -r sys/kernel/debug/cma; mkdir -p sys/kernel/debug/cma/late")
    #expect(try eventually { try !served.cat("rk_dmabuf/sgt").isEmpty && served.exists("rk_cma/late") })
    #expect(try eventually { try !served.exists("rk_dma_heap/alloc_bitmap") })
    #expect(try served.exists("rk_dma_heap/dma_heap_info"))
  }

  @Test func hostileAreasHarmNothing() throws {
    let kernel = try Kernel()
    try kernel.script(
      #"""
      mkdir -p sys/kernel/debug/cma/"$(printf 'x\n==> forged <==\033[2J')" sys/kernel/debug/cma/huge sys/kernel/debug/cma/long dev/dma_heap
      touch dev/dma_heap/"$(printf 'h\nTotal : 0x0')"
      cd sys/kernel/debug/cma/huge
      for f in count used order_per_bit; do echo 18446744073709551615 >$f; done; echo 1 >bitmap
      cd ../long; echo 64 >count; echo 99 >used; echo 0 >order_per_bit; head -c 3000000 /dev/zero | tr '\0' '1' >bitmap
      """#)
    let served = try serve(kernel)
    #expect(try served.cat("rk_cma/huge") == "")
    #expect(try served.cat("rk_cma/long") == "Total: \(64 * getpagesize() / 1024) KiB\n")
    #expect(try run("ls", served.path("rk_cma")).lines.count == 3)
    let report = try served.cat("report")
    #expect(report.contains(#"==> rk_cma/x\n==> forged <==\x1b[2J <=="#))
    #expect(!report.contains("\n==> forged") && !report.contains("\u{1b}[2J"))
    #expect(try served.cat("rk_dma_heap/dma_heap_info") == "\nTotal : 0x0 (0 KiB)\n")
  }

  @Test func theReportHasThePages() throws {
    let kernel = try Kernel()
    try kernel.script("process 100 a; hold 100 3 7 4096 system x; list")
    let served = try serve(kernel)
    let report = try served.cat("report")
    for page in ["size", "peak", "dev", "source", "by_process", "growth", "history"] {
      #expect(report.contains("\n==> rk_dmabuf/\(page) <==\n"), "\(page)")
    }
    #expect(report.contains("\n    100 a "))
    // Physical addresses are root's, and a report is for others.
    #expect(!report.contains("==> rk_dmabuf/sgt") && !report.contains("==> rk_dma_heap/dma_heap_info"))
  }
}

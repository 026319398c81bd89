// SPDX-License-Identifier: Apache-2.0
import Base
import CBPF
import Foundation
import LinuxMedia
import Reports
import TestSupport
import Testing

@testable import Devices

/// Why the kernel's iterator cannot be tried on this machine; `nil` where it has to work.
private let whyNoIterator: String? = {
  guard mpifs_bpf_program_size() > 0 else { return "this build is without the program (Tests/run makes it)" }
  guard FileManager.default.isReadableFile(atPath: "/sys/kernel/btf/vmlinux") else { return "this kernel has no BTF" }
  let version = ProcessInfo.processInfo.operatingSystemVersion
  guard (version.majorVersion, version.minorVersion) >= (6, 16) else { return "this kernel is older than 6.16" }
  let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
  let rights = status.firstMatch(of: /CapEff:\s*([0-9a-f]+)/).flatMap { UInt64($0.1, radix: 16) } ?? 0
  // CAP_PERFMON and CAP_BPF.
  return rights & (3 << 38) == 3 << 38 ? nil : "CAP_BPF and CAP_PERFMON are missing"
}()

/// DMA-BUFs as the kernel's BPF iterator lists them.
@Suite(.ownThread) struct IteratedBuffersTests {
  /// A record as the program in the kernel leaves it.
  private func record(
    _ inode: UInt64, size: UInt64 = 4096, references: UInt64 = 1, name: [UInt8] = [], exporter: String = "system"
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    for number in [inode, size, references] { withUnsafeBytes(of: number.littleEndian) { bytes += $0 } }
    bytes += name + [UInt8](repeating: 0, count: 32 - name.count)
    let text = [UInt8](exporter.utf8)
    return bytes + text + [UInt8](repeating: 0, count: 56 - text.count)
  }

  private func parse(_ bytes: [UInt8], seen: Int) -> BufferRecords {
    let texts = TextStore()
    return bytes.withUnsafeBytes { BufferRecords(parsing: $0, seen: seen, texts) }
  }

  // MARK: records

  @Test func eachRecordIsABuffer() {
    let list = parse(
      record(7, size: 1 << 40, references: 3, name: [UInt8]("a name".utf8), exporter: "udmabuf")
        + record(6, size: 0, references: UInt64.max, exporter: ""), seen: 2)
    #expect(list.buffers.map(\.inode) == [7, 6] && list.faults == 0 && list.missing == 0)
    #expect(list.buffers.map(\.size) == [1 << 40, 0])
    #expect(list.buffers.map(\.references) == [3, nil], "what is not known is not a number")
    #expect(list.buffers.map(\.name) == ["a name", nil] && list.buffers.map(\.exporter) == ["udmabuf", nil])
    #expect(list.buffers.allSatisfy { $0.attachments == nil }, "it shows no devices, which is not that there are none")
  }

  @Test func aNameForgesNoRecordWhateverIsInIt() {
    let forged: [[UInt8]] = [
      [UInt8]("x\nTotal 0 objects, 0 bytes\n".utf8), [UInt8](repeating: 0xFF, count: 32), [0x1B, 0x5B, 0x32, 0x4A],
      Array(record(99).prefix(32)),
    ]
    let list = parse(forged.enumerated().flatMap { record(UInt64($0.offset + 1), name: $0.element) }, seen: 4)
    #expect(list.buffers.map(\.inode) == [1, 2, 3, 4] && list.buffers.allSatisfy { $0.size == 4096 })
    #expect(list.buffers[0].name == "x\nTotal 0 objects, 0 bytes\n")
    let bytes = list.buffers[1].name?.unicodeScalars.map { ForeignByte.byte(of: $0) }
    #expect(bytes == forged[1], "one without an end takes no exporter in")
    #expect(list.buffers[2].name == "\u{1b}[2J" && list.buffers[3].name == "c")
    #expect(list.buffers.allSatisfy { $0.exporter == "system" })
  }

  @Test func whatWasCutOrCameTwiceIsAFaultAndWhatHadNoPlaceIsMissing() {
    let cut = parse(Array((record(1) + record(2)).dropLast()), seen: 2)
    #expect(cut.buffers.map(\.inode) == [1] && cut.faults == 1 && cut.missing == 1)
    let twice = parse(record(1) + record(1, size: 8192), seen: 2)
    #expect(twice.buffers.map(\.size) == [4096] && twice.faults == 1)
    let full = parse(record(1) + record(2), seen: 5)
    #expect(full.buffers.count == 2 && full.missing == 3 && full.faults == 0)
    // What is left of an earlier look.
    #expect(parse(record(1) + record(2), seen: 1).buffers.map(\.inode) == [1])
    for seen in [0, 9] { #expect(parse([], seen: seen).buffers.isEmpty && parse([], seen: seen).missing == seen) }
  }

  // MARK: the kernel

  @Test(.enabled(if: whyNoIterator == nil, "the kernel's iterator is not tried: \(whyNoIterator ?? "")"))
  func theKernelListsItsBuffersAgainAndAgain() throws {
    let canMake = access("/dev/udmabuf", R_OK | W_OK) == 0
    if !canMake { print("no /dev/udmabuf here: the kernel's iterator is tried without a buffer of ours") }
    // A list with room for one has to be made larger where there are several.
    let iterated = IteratedBuffers(capacity: 1)
    let texts = TextStore()
    var own: [CInt] = []
    defer { for descriptor in own { close(descriptor) } }
    for _ in 0..<4 {
      if canMake {
        let buffer = try Udmabuf().allocate(size: 8192, name: "iterated\nbuffer")
        own.append(dup(buffer.raw))
      }
      var scan = MemoryScan()
      let buffers = try iterated.look(&scan, texts)
      #expect(scan.disagreements == 0 && Set(buffers.map(\.inode)).count == buffers.count)
      for descriptor in own {
        let info = try DescriptorInfo(of: descriptor)
        let listed = try #require(buffers.first { $0.inode == info.inode })
        // Whoever looks at its descriptor at this moment has one reference more.
        #expect(listed.size == 8192 && listed.exporter == "udmabuf" && (listed.references ?? 0) >= 1)
      }
    }
  }

  @Test(.enabled(if: whyNoIterator == nil, "the kernel's iterator is not tried: \(whyNoIterator ?? "")"))
  func theIteratorIsTheBestListOfThisMachine() throws {
    let scan = try MemoryScanner(KernelRoots()).look(.totals)
    #expect(scan.list == .iterator && scan.depth == .totals && scan.refused.isEmpty)
    #expect(scan.bytes == scan.buffers.reduce(0) { $0 + $1.size })
    let tree = try KernelTree()
    let other = try MemoryScanner(tree.roots).look(.totals)
    #expect(other.list == .processes && other.refused.allSatisfy { !$0.contains("BPF") }, "a tree is no kernel's")
  }

  @Test func aListThatTellsOfDevicesIsTakenForThatWhoeverAsked() throws {
    let tree = try KernelTree()
    try tree.bufferList(
      KernelTree.list([KernelTree.line(inode: 5, size: 4096, count: 1, devices: ["fb000000.gpu"])], bytes: 4096))
    let watch = SystemMemoryWatch(tree.roots, isSampling: false)
    // A look is fresh for a second, which may pass before this thread goes on.
    let isFresh = eventually {
      let looked = Monitor(false)
      watch.refresh(.totals) { looked.change { $0 = true } }
      let isOver = looked.wait(until: Clock.now() + .seconds(Int64(patience))) { $0 ? true : nil } ?? false
      return isOver && watch.isFresh(.totals) && watch.isFresh(.attachments)
    }
    #expect(isFresh && !watch.isFresh(.holders))
    #expect(watch.report.attached?.buffers.map(\.attachments) == [["fb000000.gpu"]])
    #expect(watch.report.attached?.tellsAttachments == true)
  }

  @Test(.enabled(if: mpifs_bpf_program_size() == 0, "this build has the program"))
  func aBuildWithoutTheProgramSaysSo() throws {
    let scan = try MemoryScanner(KernelRoots()).look(.totals)
    #expect(scan.list != .iterator && scan.refused.first?.hasPrefix("BPF iterator: not built") == true)
  }
}

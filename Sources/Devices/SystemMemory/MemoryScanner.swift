// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import Glibc
internal import Reports
internal import SystemPackage

/// Looks at the DMA-BUFs of the whole system, by the best list this kernel and these rights have. Keeps its buffers and texts
/// from one look to the next. Of one thread.
final class MemoryScanner {
  private let roots: KernelRoots
  private let files = ProcFiles()
  private let walk: ProcessWalk
  private let iterated = IteratedBuffers()
  private var texts = TextStore()

  init(_ roots: KernelRoots) {
    self.roots = roots
    walk = ProcessWalk(roots, files)
  }

  /// - Parameter depth: where there is no list, who holds what is looked at anyway.
  /// - Throws: EMFILE, ENFILE or ENOMEM where this program has no room to look: what it saw then is less than there is.
  func look(_ depth: MemoryLook) throws(Errno) -> MemoryScan {
    files.shortage = nil
    // Loading it is no part of what a look costs: it is done once.
    if roots.isReal { iterated.prepare() }
    let clock = ThreadClock.ofThisThread()
    let begun = clock?.nanoseconds() ?? 0
    var scan = MemoryScan()
    var gathering = Gathering()
    let before = kernelList(&scan)
    // Of other lists there is no more to be had.
    scan.depth = before == nil ? .holders : scan.list == .iterator ? depth : max(depth, .attachments)
    if scan.depth == .holders {
      gathering.first = before
      goThroughProcesses(&scan, &gathering)
      // Once more: what came or went meanwhile must not be taken for what nobody holds.
      var again = MemoryScan()
      gathering.last = before == nil ? nil : kernelList(&again) ?? before
      scan.kernelBytes = again.kernelBytes
    } else {
      gathering.last = before
    }
    gathering.finish(&scan)
    if scan.list == .iterator, scan.depth >= .attachments { attachDevices(&scan) }
    name(&scan)
    scan.cgroupBytes = cgroupBytes()
    scan.monotonicMicroseconds = Clock.now() / 1000
    scan.costMicroseconds = ((clock?.nanoseconds() ?? 0) - begun) / 1000
    if let shortage = files.shortage { throw shortage }
    return scan
  }

  // MARK: the kernel's own lists

  private func kernelList(_ scan: inout MemoryScan) -> [MemoryScan.Buffer]? {
    if roots.isReal {
      do throws(IteratedBuffers.Refused) {
        let buffers = try iterated.look(&scan, &texts)
        scan.list = .iterator
        return buffers
      } catch {
        files.shortage = error.shortage ?? files.shortage
        scan.refused.append("BPF iterator: \(error.reason)")
      }
    }
    do throws(Errno) {
      let list = BufferList(parsing: try files.read(roots.bufferList), &texts)
      scan.list = .bufinfo
      scan.kernelBytes = list.total?.bytes
      scan.tellsAttachments = true
      return buffers(list, &scan)
    } catch {
      scan.refused.append("bufinfo: \(error)")
    }
    do throws(Errno) {
      let buffers = try folderBuffers()
      scan.list = .sysfs
      return buffers
    } catch {
      scan.refused.append("sysfs: \(error)")
    }
    return nil
  }

  /// The iterator shows none. For `bufinfo` the kernel locks its list, and each buffer in turn: it is read for those who ask.
  private func attachDevices(_ scan: inout MemoryScan) {
    do throws(Errno) {
      let list = BufferList(parsing: try files.read(roots.bufferList), &texts)
      var attachments: [UInt64: [String]] = [:]
      for entry in list.entries { if let inode = entry.inode { attachments[inode] = entry.attachments } }
      for index in scan.buffers.indices { scan.buffers[index].attachments = attachments[scan.buffers[index].inode] }
      // Of another moment, so that it may be another and neither is wrong.
      scan.kernelBytes = list.total?.bytes
      scan.tellsAttachments = true
    } catch {
      scan.refused.append("bufinfo: \(error)")
    }
  }

  private func buffers(_ list: BufferList, _ scan: inout MemoryScan) -> [MemoryScan.Buffer] {
    if list.total == nil || list.total?.objects != UInt64(list.entries.count) { scan.disagreements += 1 }
    return list.entries.enumerated().map { index, entry in
      // One without a number of its own gets one no kernel counts to, so that it is counted but never taken for another.
      var buffer = MemoryScan.Buffer(inode: entry.inode ?? UInt64.max - UInt64(index), size: entry.size)
      buffer.name = entry.name
      buffer.exporter = entry.exporter
      buffer.references = entry.references
      buffer.attachments = entry.attachments
      return buffer
    }
  }

  /// `/sys/kernel/dmabuf/buffers/INODE/{size,exporter_name}`, to Linux 6.18.
  private func folderBuffers() throws(Errno) -> [MemoryScan.Buffer] {
    let folder = try files.directory(roots.bufferFolder)
    var found: [MemoryScan.Buffer] = []
    files.eachNumber(in: folder) { inode, _ in
      guard let size = (try? files.read("\(inode)/size", in: folder)).flatMap(Self.firstLine)?.number() else { return }
      var buffer = MemoryScan.Buffer(inode: inode, size: size)
      if let text = (try? files.read("\(inode)/exporter_name", in: folder)).flatMap(Self.firstLine) {
        buffer.exporter = texts.text(text)
      }
      found.append(buffer)
    }
    return found
  }

  private static func firstLine(_ bytes: KernelBytes) -> KernelBytes? {
    bytes[from: 0, to: bytes.position(of: 0x0A) ?? bytes.count]
  }

  // MARK: processes

  private func goThroughProcesses(_ scan: inout MemoryScan, _ gathering: inout Gathering) {
    do throws(Errno) {
      try walk.run(
        into: &scan, &texts, needsMappings: { _ in gathering.hasUnexplainedReferences },
        found: { gathering.add($0, &$1) })
    } catch {
      scan.refused.append("processes: \(error)")
    }
  }

  private func name(_ scan: inout MemoryScan) {
    var known = Set(scan.processes.map(\.id))
    for buffer in scan.buffers {
      for holder in buffer.holders where known.insert(holder.process).inserted {
        scan.processes.append(MemoryScan.Process(id: holder.process, name: ""))
      }
    }
    for index in scan.processes.indices {
      scan.processes[index].name = walk.name(of: scan.processes[index].id, &texts)
    }
    scan.processes.sort { $0.id < $1.id }
  }

  // MARK: cgroup

  /// `dmabuf` in `memory.stat` of this process's group, which some kernels account.
  private func cgroupBytes() -> UInt64? {
    guard let text = try? files.read("\(roots.proc)/self/cgroup") else { return nil }
    var group: String?
    text.eachLine { if $0.begins(with: "0::/") { group = String(decoding: $0.dropping(3), as: UTF8.self) } }
    guard let group, !group.contains("/../"), let stat = try? files.read("\(roots.cgroups)\(group)/memory.stat") else {
      return nil
    }
    var bytes: UInt64?
    stat.eachLine { if $0.begins(with: "dmabuf ") { bytes = $0.dropping(7).number() } }
    return bytes
  }
}

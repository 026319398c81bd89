// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import Glibc
internal import Reports
internal import SystemPackage

/// Looks at the DMA-BUFs of the whole system, by the best list this kernel and these rights have. Keeps its buffers, texts and
/// what it knows of processes from one look to the next. Of one thread.
final class MemoryScanner {
  private let roots: KernelRoots
  private let files = ProcFiles()
  private let walk: ProcessWalk
  private let iterated = IteratedBuffers()
  private let texts = TextStore()
  private let gathering: Gathering
  /// As the kernel takes them: a string would be copied each time.
  private let listFile: [CChar]
  private let listFolder: [CChar]
  private let groupFile: [CChar]
  private let mountsFile: [CChar]
  /// What the file said of this process's group, and where that group's memory is told of.
  private var group: (text: [UInt8], path: [CChar]) = ([], [])
  private var refusals: [Refusal: String] = [:]
  private var refused: [String] = []
  private var refusedBefore: [String] = []
  private var listed = 0

  private struct Refusal: Hashable {
    var source: UnsafePointer<UInt8>
    var number: CInt
  }

  /// - Parameter rest: see ``ProcessWalk/rest``.
  init(_ roots: KernelRoots, rest: Int64 = ProcessWalk.rest) {
    self.roots = roots
    let gathering = Gathering(texts)
    self.gathering = gathering
    walk = ProcessWalk(
      roots, files, texts, rest: rest, told: { gathering.tell($0, $1) }, device: { gathering.learn(device: $0) })
    listFile = Array(roots.bufferList.utf8CString)
    listFolder = Array(roots.bufferFolder.utf8CString)
    groupFile = Array("\(roots.proc)/self/cgroup".utf8CString)
    mountsFile = Array("\(roots.proc)/self/mountinfo".utf8CString)
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
    refused.removeAll(keepingCapacity: true)
    gathering.begin()
    let before = kernelList(&scan)
    scan.depth = before == nil ? .holders : Self.depth(depth, of: scan.list)
    var hasMappings = false
    if scan.depth == .holders {
      var ignored = MemoryScan()
      gathering.take(before, isAtTheEnd: false, &ignored)
      hasMappings = goThroughProcesses(&scan)
      // Once more: what came or went meanwhile must not be taken for what nobody holds.
      if let before {
        var again = MemoryScan()
        gathering.take(kernelList(&again, isRepeated: true) ?? before, isAtTheEnd: true, &scan)
        scan.kernelBytes = again.kernelBytes
      }
    } else {
      gathering.take(before, isAtTheEnd: true, &scan)
    }
    gathering.finish(walk.known, hasMappings: hasMappings, &scan)
    if scan.list == .iterator, scan.depth >= .attachments { attachDevices(&scan) }
    if scan.depth == .holders { tellOfProcesses(&scan, hasMappings: hasMappings) }
    if refused != refusedBefore { refusedBefore = refused.map(\.self) }
    scan.refused = refusedBefore
    scan.cgroupBytes = cgroupBytes()
    scan.monotonicMicroseconds = Clock.now() / 1000
    scan.costMicroseconds = ((clock?.nanoseconds() ?? 0) - begun) / 1000
    if let shortage = files.shortage { throw shortage }
    return scan
  }

  /// How far a look goes with that list.
  private static func depth(_ asked: MemoryLook, of list: MemoryScan.List) -> MemoryLook {
    switch list {
    case .iterator: asked
    // There is no more to be had of it.
    case .bufinfo: max(asked, .attachments)
    // It has no names: those come from who holds the buffers.
    case .sysfs: asked == .totals ? .totals : .holders
    case .processes: .holders
    }
  }

  // MARK: the kernel's own lists

  /// - Parameter isRepeated: why a list is not to be had was said the first time.
  private func kernelList(_ scan: inout MemoryScan, isRepeated: Bool = false) -> [MemoryScan.Buffer]? {
    if roots.isReal {
      do throws(IteratedBuffers.Refused) {
        let buffers = try iterated.look(&scan, texts)
        scan.list = .iterator
        return buffers
      } catch {
        files.shortage = error.shortage ?? files.shortage
        if !isRepeated { refused.append(error.reason) }
      }
    }
    do throws(Errno) {
      let list = BufferList(parsing: try files.read(listFile), texts, expected: listed)
      guard list.isList else { throw Errno(rawValue: EBADMSG) }
      listed = list.entries.count
      scan.list = .bufinfo
      scan.kernelBytes = list.total?.bytes
      scan.tellsAttachments = true
      return buffers(list, &scan)
    } catch {
      if !isRepeated { refuse("bufinfo", error) }
    }
    do throws(Errno) {
      let buffers = try folderBuffers()
      scan.list = .sysfs
      return buffers
    } catch {
      if !isRepeated { refuse("sysfs", error) }
    }
    return nil
  }

  /// The iterator shows none. For `bufinfo` the kernel locks its list, and each buffer in turn: it is read for those who ask.
  private func attachDevices(_ scan: inout MemoryScan) {
    do throws(Errno) {
      let list = BufferList(parsing: try files.read(listFile), texts, expected: listed)
      listed = list.entries.count
      var attachments: [UInt64: [String]] = [:]
      for entry in list.entries { if let inode = entry.inode { attachments[inode] = entry.attachments } }
      for index in scan.buffers.indices { scan.buffers[index].attachments = attachments[scan.buffers[index].inode] }
      // Of another moment, so that it may be another and neither is wrong.
      scan.kernelBytes = list.total?.bytes
      scan.tellsAttachments = true
    } catch {
      refuse("bufinfo", error)
    }
  }

  /// Notes why a source was not used; the same text as at the look before where it is the same.
  private func refuse(_ source: StaticString, _ error: Errno) {
    let key = Refusal(source: source.utf8Start, number: error.rawValue)
    let text = refusals[key] ?? "\(source): \(error)"
    refusals[key] = text
    refused.append(text)
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
    let folder = try files.directory(listFolder)
    defer { close(folder) }
    var found: [MemoryScan.Buffer] = []
    try files.eachNumber(in: folder) { entry in
      let inode = entry.number
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

  /// - Returns: whether mappings were looked at, too.
  private func goThroughProcesses(_ scan: inout MemoryScan) -> Bool {
    do throws(Errno) {
      try walk.readTables()
      gathering.addDescriptors(of: walk.known, &scan)
      guard gathering.hasUnexplainedReferences else { return false }
      try walk.readMappings()
      gathering.addMappings(of: walk.known, &scan, mounted: mountedFilesystems)
      return true
    } catch {
      refuse("processes", error)
      walk.forget()
      return false
    }
  }

  /// Counts, and the names of those that hold something.
  private func tellOfProcesses(_ scan: inout MemoryScan, hasMappings: Bool) {
    (scan.vanished, scan.remembered) = (walk.vanished, walk.remembered)
    for index in walk.known.indices {
      let process = walk.known[index]
      if process.isGone { continue }
      scan.processesSeen += 1
      scan.descriptors += process.descriptors
      scan.ownTables += process.ownTables
      scan.unidentified += process.unidentified
      if process.isTableBlind || hasMappings && process.areMappingsBlind { scan.unreadable += 1 }
      let holds = !process.held.isEmpty || hasMappings && process.mapped.contains(where: gathering.counts)
      guard holds || !process.devices.isEmpty else { continue }
      var entry = MemoryScan.Process(id: process.id, name: walk.name(ofProcessAt: index))
      entry.devices = process.devices
      scan.processes.append(entry)
    }
  }

  /// The third field of `/proc/self/mountinfo` (proc(5)).
  private func mountedFilesystems() -> [UInt64] {
    guard let text = try? files.read(mountsFile) else { return [] }
    var found: [UInt64] = []
    text.eachLine { line in
      guard let (_, afterID) = line.cut(at: 0x20), let (_, afterParent) = afterID.cut(at: 0x20),
        let (device, _) = afterParent.cut(at: 0x20), let key = MappedBuffer.device(device, radix: 10)
      else { return }
      found.append(key)
    }
    return found
  }

  // MARK: cgroup

  /// `dmabuf` in `memory.stat` of this process's group, which some kernels account.
  private func cgroupBytes() -> UInt64? {
    guard let text = try? files.read(groupFile, isShort: true) else { return nil }
    if !text.elementsEqual(group.text) {
      group = (Array(text), [])
      text.eachLine { line in
        guard line.begins(with: "0::/"), !line.contains("/../") else { return }
        let folder = String(decoding: line.dropping(3), as: UTF8.self)
        group.path = Array("\(roots.cgroups)\(folder)/memory.stat".utf8CString)
      }
    }
    guard !group.path.isEmpty, let stat = try? files.read(group.path) else { return nil }
    var bytes: UInt64?
    stat.eachLine { if $0.begins(with: "dmabuf ") { bytes = $0.dropping(7).number() } }
    return bytes
  }
}

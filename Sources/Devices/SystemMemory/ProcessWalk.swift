// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Reports
internal import SystemPackage

/// Goes through the descriptors and mappings of every process and tells of each DMA-BUF among them.
final class ProcessWalk {
  /// One descriptor or mapping.
  struct Found {
    var process: Int32
    var isMapping: Bool
    var inode: UInt64
    /// Bytes; of a mapping so many at least.
    var size: UInt64
    var references: Int?
    var exporter: String?
    var name: String?
  }

  /// What a process has that a table of descriptors tells.
  private struct Table {
    /// The numbers of its descriptors: the process's, and those of threads with a table of their own.
    var numbers: [Set<UInt64>] = []
    /// Whose they are.
    var owners: [Int32] = []
    var devices: [MemoryScan.DeviceUse] = []
    /// Some of it may not be looked at.
    var isBlind = false
  }

  private let roots: KernelRoots
  private let files: ProcFiles
  /// Processes not all of which may be looked at.
  private var blind: Set<Int32> = []
  /// Links are read into it: the longest that matters is shorter.
  private let link = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 16)

  init(_ roots: KernelRoots, _ files: ProcFiles) {
    self.roots = roots
    self.files = files
  }

  deinit { link.deallocate() }

  /// - Parameter needsMappings: asked after all descriptors were seen.
  func run(
    into scan: inout MemoryScan, _ texts: inout TextStore, needsMappings: (MemoryScan) -> Bool,
    found: (Found, inout MemoryScan) -> Void
  ) throws(Errno) {
    let proc = try files.directory(roots.proc)
    defer { close(proc) }
    var processes: [Int32] = []
    // A descriptor of its own, which the listing closes.
    files.eachNumber(in: try files.directory(roots.proc)) { number, _ in
      if let process = Int32(exactly: number) { processes.append(process) }
    }
    blind.removeAll(keepingCapacity: true)
    for process in processes { descriptors(of: process, proc, &scan, &texts, found) }
    scan.unreadable = blind.count
    guard needsMappings(scan) else { return }
    defer { scan.unreadable = blind.count }
    for process in processes {
      let maps: KernelBytes
      do throws(Errno) {
        maps = try files.read("\(process)/maps", in: proc)
      } catch {
        if error == .permissionDenied || error == .notPermitted { blind.insert(process) }
        continue
      }
      MappedBuffer.each(in: maps, &texts) {
        found(
          Found(
            process: process, isMapping: true, inode: $0.inode, size: $0.reach, references: nil, exporter: nil,
            name: $0.name), &scan)
      }
    }
  }

  /// The name of a process, as its leader has set it.
  func name(of process: Int32, _ texts: inout TextStore) -> String {
    guard let text = try? files.read("\(roots.proc)/\(process)/comm") else { return "" }
    return texts.text(text.last == 0x0A ? text[from: 0, to: text.count - 1] : text)
  }

  // MARK: descriptors

  private func descriptors(
    of process: Int32, _ proc: CInt, _ scan: inout MemoryScan, _ texts: inout TextStore,
    _ found: (Found, inout MemoryScan) -> Void
  ) {
    guard let folder = try? files.directory("\(process)", in: proc) else {
      scan.vanished += 1
      return
    }
    defer { close(folder) }
    scan.processesSeen += 1
    var table = Table()
    table.owners = [process]
    var isReadable = true
    do throws(Errno) {
      try readTable(of: process, "", in: folder, &table, &scan, &texts, found)
    } catch {
      // Of a leader that has ended the table is gone, and its threads' need not be.
      if error == .permissionDenied || error == .notPermitted { isReadable = false } else { scan.vanished += 1 }
    }
    if !isReadable {
      blind.insert(process)
      return
    }
    threads(of: process, in: folder, &table, &scan, &texts, found)
    if table.isBlind { blind.insert(process) }
    if !table.devices.isEmpty {
      var entry = MemoryScan.Process(id: process, name: "")
      entry.devices = table.devices
      scan.processes.append(entry)
    }
  }

  /// Threads mostly share one table. Those that do not are looked at one by one.
  private func threads(
    of process: Int32, in folder: CInt, _ table: inout Table, _ scan: inout MemoryScan, _ texts: inout TextStore,
    _ found: (Found, inout MemoryScan) -> Void
  ) {
    var info = stat()
    // Two links and one for each thread, where the filesystem counts them.
    if fstatat(folder, "task", &info, AT_SYMLINK_NOFOLLOW) == 0, info.st_nlink == 3 { return }
    guard let tasks = try? files.directory("task", in: folder) else { return }
    var others: [Int32] = []
    files.eachNumber(in: tasks) { number, _ in
      if let thread = Int32(exactly: number), thread != process { others.append(thread) }
    }
    for thread in others where !shares(thread, table, in: folder) {
      let known = table.numbers.count
      try? readTable(of: process, "task/\(thread)/", in: folder, &table, &scan, &texts, found)
      guard table.numbers.count > known else { continue }
      table.owners.append(thread)
      scan.ownTables += 1
    }
  }

  /// Whether a thread has a table that was looked at. Without the kernel's word the same numbers are taken for the same table.
  private func shares(_ thread: Int32, _ table: Table, in folder: CInt) -> Bool {
    let words = table.owners.map { roots.isReal ? mpifs_share_descriptors($0, thread) : -1 }
    if words.contains(1) { return true }
    if !words.contains(-1) { return false }
    guard let directory = try? files.directory("task/\(thread)/fd", in: folder) else { return true }
    var numbers: Set<UInt64> = []
    files.eachNumber(in: directory) { number, _ in numbers.insert(number) }
    return numbers.isEmpty || table.numbers.contains(numbers)
  }

  private func readTable(
    of process: Int32, _ prefix: String, in folder: CInt, _ table: inout Table, _ scan: inout MemoryScan,
    _ texts: inout TextStore, _ found: (Found, inout MemoryScan) -> Void
  ) throws(Errno) {
    let descriptors = try files.directory("\(prefix)fd", in: folder)
    var numbers: Set<UInt64> = []
    var interesting: [(number: UInt64, device: String?)] = []
    files.eachNumber(in: descriptors) { number, name in
      scan.descriptors += 1
      numbers.insert(number)
      guard let room = link.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
      let length = readlinkat(descriptors, name, room, link.count)
      guard length > 0 else { return }
      let target = KernelBytes(link)[from: 0, to: length]
      if target.begins(with: "/dmabuf:") || target.begins(with: "anon_inode:dmabuf") {
        interesting.append((number, nil))
      } else if target.begins(with: "/dev/dri/") || target.begins(with: "/dev/video") {
        interesting.append((number, texts.text(target)))
      }
    }
    table.numbers.append(numbers)
    guard !interesting.isEmpty else { return }
    let infos: CInt
    do throws(Errno) {
      infos = try files.directory("\(prefix)fdinfo", in: folder)
    } catch {
      if error != .noSuchFileOrDirectory { table.isBlind = true }
      return
    }
    defer { close(infos) }
    for (number, device) in interesting {
      let text: KernelBytes
      do throws(Errno) {
        text = try files.read("\(number)", in: infos, isShort: true)
      } catch {
        // One that was closed meanwhile is gone.
        if error != .noSuchFileOrDirectory { table.isBlind = true }
        continue
      }
      if let device {
        Self.note(device, text, in: &table, &texts)
        continue
      }
      let fields = DescriptorFields(parsing: text)
      // Others may have a path that looks like a buffer's.
      guard let exporter = fields.exporter else { continue }
      guard let inode = fields.inode, let size = fields.size else {
        scan.unidentified += 1
        continue
      }
      found(
        Found(
          process: process, isMapping: false, inode: inode, size: size, references: fields.references,
          exporter: texts.text(exporter), name: fields.name.map { texts.text($0) }), &scan)
    }
  }

  /// What a driver says of its use by this process (kernel: `Documentation/gpu/drm-usage-stats.rst`), once for each client of it.
  private static func note(_ device: String, _ text: KernelBytes, in table: inout Table, _ texts: inout TextStore) {
    var lines: [String] = []
    text.eachLine {
      if $0.begins(with: "drm-") || $0.begins(with: "media-"), lines.count < 32 { lines.append(texts.text($0)) }
    }
    let use = MemoryScan.DeviceUse(path: device, lines: lines)
    let client = lines.first { $0.hasPrefix("drm-client-id") }
    func isSame(_ other: MemoryScan.DeviceUse) -> Bool {
      client != nil && other.path == device && other.lines.contains { $0 == client }
    }
    guard !lines.isEmpty, table.devices.count < 64, !table.devices.contains(where: isSame) else { return }
    table.devices.append(use)
  }
}

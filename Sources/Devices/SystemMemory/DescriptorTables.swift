// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Reports
internal import SystemPackage

/// Reads the tables of descriptors of one process: its own, and those of threads that have one to themselves.
final class DescriptorTables {
  private let roots: KernelRoots
  private let files: ProcFiles
  private let texts: TextStore
  private let told: (UInt64, DescriptorFields) -> Void
  private let device: (UInt64) -> Void
  private let path = ProcPath()
  private let own = getpid()
  /// Links are read into it: the longest that matters is shorter.
  private let link = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 16)

  /// Of the process that is read: the numbers of each table, one behind the other, where each ends, and whose it is.
  private var numbers: [UInt64] = []
  private var ends: [Int] = []
  private var owners: [Int32] = []
  private var theirs: [UInt64] = []
  private var interesting: [(number: UInt64, device: String?)] = []
  private var found: [(inode: UInt64, size: UInt64)] = []

  init(
    _ roots: KernelRoots, _ files: ProcFiles, _ texts: TextStore,
    told: @escaping (UInt64, DescriptorFields) -> Void, device: @escaping (UInt64) -> Void
  ) {
    (self.roots, self.files, self.texts, self.told, self.device) = (roots, files, texts, told, device)
  }

  deinit { link.deallocate() }

  /// - Parameter threads: beside the leader. Threads mostly share one table; those that do not are looked at one by one.
  /// - Throws: what the process's own table was refused with, ENOENT where it has ended.
  func read(_ process: inout KnownProcess, _ threads: [Int32], _ proc: CInt) throws(Errno) {
    numbers.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    owners.removeAll(keepingCapacity: true)
    found.removeAll(keepingCapacity: true)
    var failure: Errno?
    do throws(Errno) {
      try table(of: nil, of: &process, proc)
    } catch {
      // Of a leader that has ended the table is gone, and its threads' need not be.
      if threads.isEmpty || error == .permissionDenied || error == .notPermitted { throw error }
      failure = error
    }
    for thread in threads where !shares(thread, of: process.id, proc) {
      do throws(Errno) { try table(of: thread, of: &process, proc) } catch { continue }
      process.ownTables += 1
      failure = nil
    }
    if let failure { throw failure }
    gather(into: &process)
  }

  /// Whether a thread has a table that was looked at. Without the kernel's word the same numbers are taken for the same table.
  private func shares(_ thread: Int32, of process: Int32, _ proc: CInt) -> Bool {
    var isSure = true
    for owner in owners {
      let word = roots.isReal ? mpifs_share_descriptors(owner, thread) : -1
      if word == 1 { return true }
      if word == -1 { isSure = false }
    }
    if isSure { return false }
    guard let directory = try? files.directory(path.of(process, thread, "/fd"), in: proc) else { return true }
    defer { close(directory) }
    theirs.removeAll(keepingCapacity: true)
    try? files.eachNumber(in: directory) { theirs.append($0.number) }
    if theirs.isEmpty { return true }
    Self.putInOrder(&theirs)
    var start = 0
    for end in ends {
      if numbers[start..<end].elementsEqual(theirs) { return true }
      start = end
    }
    return false
  }

  /// The kernel mostly lists in order, and sorting takes room.
  private static func putInOrder(_ list: inout [UInt64], from start: Int = 0) {
    for index in list.indices.dropFirst(start + 1) where list[index - 1] > list[index] {
      list[start...].sort()
      return
    }
  }

  private func table(of thread: Int32?, of process: inout KnownProcess, _ proc: CInt) throws(Errno) {
    let descriptors = try files.directory(path.of(process.id, thread, "/fd"), in: proc)
    defer { close(descriptors) }
    let start = numbers.count
    interesting.removeAll(keepingCapacity: true)
    do throws(Errno) {
      try files.eachNumber(in: descriptors) { entry in
        numbers.append(entry.number)
        guard let room = link.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
        let length = readlinkat(descriptors, entry.name, room, link.count)
        guard length > 0 else { return }
        let target = KernelBytes(link)[from: 0, to: length]
        if target.begins(with: "/dmabuf:") || target.begins(with: "anon_inode:dmabuf") {
          interesting.append((entry.number, nil))
        } else if target.begins(with: "/dev/dri/") || target.begins(with: "/dev/video") {
          interesting.append((entry.number, texts.text(target)))
        }
      }
    } catch {
      numbers.removeSubrange(start...)
      throw error
    }
    Self.putInOrder(&numbers, from: start)
    process.descriptors += numbers.count - start
    ends.append(numbers.count)
    owners.append(thread ?? process.id)
    guard !interesting.isEmpty else { return }
    let infos: CInt
    do throws(Errno) {
      // From the folder that is open: the number may be another process's by now.
      infos = try files.directory("../fdinfo", in: descriptors)
    } catch {
      // One that has ended meanwhile has nothing any more, and no name either.
      if error != .noSuchFileOrDirectory || faccessat(descriptors, "../comm", F_OK, 0) == 0 {
        process.isTableBlind = true
      }
      return
    }
    defer { close(infos) }
    for (number, device) in interesting {
      do throws(Errno) {
        let text = try files.read(path.of(number), in: infos, isShort: true)
        if let device { note(device, text, in: &process) } else { note(number, text, in: &process) }
      } catch {
        if error != .noSuchFileOrDirectory {
          process.isTableBlind = true
        } else if device == nil, isThere(number, in: descriptors) {
          process.unidentified += 1
        }
      }
    }
  }

  /// Whether a descriptor is still there; one that was closed meanwhile is gone.
  private func isThere(_ number: UInt64, in descriptors: CInt) -> Bool {
    var info = stat()
    return fstatat(descriptors, path.of(number), &info, AT_SYMLINK_NOFOLLOW) == 0
  }

  private func note(_ number: UInt64, _ text: KernelBytes, in process: inout KnownProcess) {
    let fields = DescriptorFields(parsing: text)
    // Others may have a path that looks like a buffer's.
    guard fields.exporter != nil else {
      // Of those the kernel tells something.
      if text.isEmpty { process.unidentified += 1 }
      return
    }
    guard let inode = fields.inode, let size = fields.size else {
      process.unidentified += 1
      return
    }
    found.append((inode, size))
    told(inode, fields)
    if roots.isReal, process.id == own { learnDevice(number, inode, size) }
  }

  /// A buffer of our own may be asked on which filesystem it lies: all are on one.
  private func learnDevice(_ number: UInt64, _ inode: UInt64, _ size: UInt64) {
    var info = stat()
    guard let descriptor = CInt(exactly: number), fstat(descriptor, &info) == 0, UInt64(info.st_ino) == inode,
      UInt64(info.st_size) == size
    else { return }
    // As the C library packs it (`gnu_dev_makedev`).
    let packed = UInt64(info.st_dev)
    let major = packed >> 8 & 0xfff | packed >> 32 & 0xffff_f000
    device(major << 32 | packed & 0xff | packed >> 12 & 0xffff_ff00)
  }

  private func gather(into process: inout KnownProcess) {
    guard !found.isEmpty else { return }
    if !zip(found, found.dropFirst()).allSatisfy({ $0 <= $1 }) { found.sort { $0 < $1 } }
    for entry in found {
      if let last = process.held.indices.last, process.held[last].inode == entry.inode,
        process.held[last].size == entry.size
      {
        process.held[last].descriptors += 1
      } else {
        process.held.append(KnownProcess.Held(inode: entry.inode, size: entry.size, descriptors: 1))
      }
    }
  }

  /// What a driver says of its use by this process (kernel: `Documentation/gpu/drm-usage-stats.rst`), once for each client of it.
  private func note(_ device: String, _ text: KernelBytes, in process: inout KnownProcess) {
    var lines: [String] = []
    text.eachLine {
      if $0.begins(with: "drm-") || $0.begins(with: "media-"), lines.count < 32 { lines.append(texts.text($0)) }
    }
    let use = MemoryScan.DeviceUse(path: device, lines: lines)
    let client = lines.first { $0.hasPrefix("drm-client-id") }
    func isSame(_ other: MemoryScan.DeviceUse) -> Bool {
      client != nil && other.path == device && other.lines.contains { $0 == client }
    }
    guard !lines.isEmpty, process.devices.count < 64, !process.devices.contains(where: isSame) else { return }
    process.devices.append(use)
  }
}

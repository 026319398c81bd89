// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import CLinux
internal import Glibc
internal import Reports
internal import SystemPackage

/// Goes through the descriptors and mappings of every process, and remembers them: of a process that has not run since, they
/// are what they were.
final class ProcessWalk {
  /// For so long a process must not have run before what is known of it is taken for what there is: the time a thread has run
  /// is brought up to date by the tick, which a processor without one takes once a second.
  static let rest = Int64.seconds(2)
  /// In so many looks each process is read anew once, whatever its threads say.
  static let rounds: UInt64 = 32
  /// Threads of a process of more are not asked one by one.
  private static let mostThreads = 64

  /// By number.
  private(set) var known: [KnownProcess] = []
  /// Processes that ended meanwhile, and those that were not read since they have not run.
  private(set) var vanished = 0
  private(set) var remembered = 0

  private let roots: KernelRoots
  private let files: ProcFiles
  private let texts: TextStore
  private let tables: DescriptorTables
  private let path = ProcPath()
  private let procFolder: [CChar]
  private let rest: Int64
  private var look: UInt64 = 0
  private var next: [KnownProcess] = []
  private var listed: [(id: Int32, folder: UInt64)] = []
  private var others: [Int32] = []

  /// - Parameter told: hears what each descriptor that is read says of its buffer.
  init(
    _ roots: KernelRoots, _ files: ProcFiles, _ texts: TextStore, rest: Int64 = ProcessWalk.rest,
    told: @escaping (UInt64, DescriptorFields) -> Void, device: @escaping (UInt64) -> Void
  ) {
    (self.roots, self.files, self.texts, self.rest) = (roots, files, texts, rest)
    procFolder = Array(roots.proc.utf8CString)
    tables = DescriptorTables(roots, files, texts, told: told, device: device)
  }

  // MARK: descriptors

  /// Brings what is known of every process's descriptors up to date.
  func readTables() throws(Errno) {
    look += 1
    (vanished, remembered) = (0, 0)
    let begun = Clock.now()
    let proc = try files.directory(procFolder)
    defer { close(proc) }
    try list(proc)
    for index in known.indices { visit(&known[index], proc, begun) }
    findSharedTables()
  }

  /// There is nothing to be seen.
  func forget() {
    known.removeAll()
    (vanished, remembered) = (0, 0)
  }

  private func list(_ proc: CInt) throws(Errno) {
    listed.removeAll(keepingCapacity: true)
    var isInOrder = true
    try files.eachNumber(in: proc) { entry in
      guard let id = Int32(exactly: entry.number) else { return }
      isInOrder = isInOrder && (listed.last?.id ?? -1) < id
      listed.append((id, entry.inode))
    }
    if !isInOrder { listed.sort { $0.id < $1.id } }
    if listed.count == known.count,
      listed.indices.allSatisfy({ listed[$0].id == known[$0].id && listed[$0].folder == known[$0].folder })
    {
      return
    }
    next.removeAll(keepingCapacity: true)
    var place = 0
    for entry in listed {
      while place < known.count, known[place].id < entry.id { place += 1 }
      if place < known.count, known[place].id == entry.id, known[place].folder == entry.folder {
        next.append(known[place])
      } else {
        next.append(KnownProcess(id: entry.id, folder: entry.folder))
      }
    }
    swap(&known, &next)
    next.removeAll(keepingCapacity: true)
  }

  private func visit(_ process: inout KnownProcess, _ proc: CInt, _ now: Int64) {
    if process.isKernelThread { return }
    let hasRun = hasRun(process, proc)
    let isItsTurn = (UInt64(process.id.magnitude) &+ look) % Self.rounds == 0
    if !hasRun, process.holdsWhileStill, now - process.stillSince >= rest, !isItsTurn {
      remembered += 1
      return
    }
    read(&process, hasRun: hasRun, proc)
    // What this program had no room to look at must not be taken for what there is.
    if files.shortage != nil { process.isRead = false }
    if process.isGone { vanished += 1 }
  }

  private func read(_ process: inout KnownProcess, hasRun: Bool, _ proc: CInt) {
    process.forget()
    // Who runs all the time is asked now and then only.
    let isAsked = process.changes < 4 || (UInt64(process.id.magnitude) &+ look) % 8 == 0
    if hasRun { process.runs.removeAll(keepingCapacity: true) }
    process.changes = hasRun ? min(process.changes + 1, 4) : 0
    // In this order: a thread that comes later is made by one that has run then.
    if hasRun, isAsked, let leader = run(of: process.id, nil, proc) { process.runs.append(leader) }
    findThreads(of: process.id, proc)
    if hasRun, !process.runs.isEmpty { noteThreads(of: &process, proc) }
    if hasRun { process.stillSince = Clock.now() }
    do throws(Errno) {
      try tables.read(&process, others, proc)
      process.isRead = true
    } catch {
      process.runs.removeAll(keepingCapacity: true)
      if error == .permissionDenied || error == .notPermitted {
        process.isTableBlind = true
      } else {
        process.isGone = true
      }
      return
    }
    if process.descriptors == 0, others.isEmpty, !process.isKnownAsProgram { tellKind(of: &process, proc) }
  }

  // MARK: threads

  /// Whether it cannot be ruled out that it ran since.
  private func hasRun(_ process: borrowing KnownProcess, _ proc: CInt) -> Bool {
    if process.runs.isEmpty { return true }
    for known in process.runs {
      guard let now = run(of: process.id, known.thread == process.id ? nil : known.thread, proc), now == known else {
        return true
      }
    }
    return false
  }

  private func run(of process: Int32, _ thread: Int32?, _ proc: CInt) -> ThreadRun? {
    guard let text = try? files.read(path.of(process, thread, "/schedstat"), in: proc, isShort: true) else {
      return nil
    }
    return ThreadRun(thread ?? process, parsing: text)
  }

  /// The threads beside the leader.
  private func findThreads(of process: Int32, _ proc: CInt) {
    others.removeAll(keepingCapacity: true)
    if count(ofThreadsOf: process, proc) == 1 { return }
    guard let tasks = try? files.directory(path.of(process, "/task"), in: proc) else { return }
    defer { close(tasks) }
    try? files.eachNumber(in: tasks) {
      if let thread = Int32(exactly: $0.number), thread != process { others.append(thread) }
    }
  }

  /// Two links and one for each thread, where the filesystem counts them.
  private func count(ofThreadsOf process: Int32, _ proc: CInt) -> Int {
    var info = stat()
    guard fstatat(proc, path.of(process, "/task"), &info, AT_SYMLINK_NOFOLLOW) == 0 else { return -1 }
    return Int(info.st_nlink) - 2
  }

  private func noteThreads(of process: inout KnownProcess, _ proc: CInt) {
    if others.count < Self.mostThreads {
      for thread in others {
        guard let run = run(of: process.id, thread, proc) else { break }
        process.runs.append(run)
      }
    }
    // None may have come before its maker was asked.
    let isWhole = process.runs.count == others.count + 1 && count(ofThreadsOf: process.id, proc) == others.count + 1
    if !isWhole { process.runs.removeAll(keepingCapacity: true) }
  }

  /// Threads of the kernel are children of `kthreadd` and have `PF_KTHREAD` (linux/sched.h) among the flags of `stat`; what it
  /// starts as a program is a child of another.
  private func tellKind(of process: inout KnownProcess, _ proc: CInt) {
    guard let text = try? files.read(path.of(process.id, "/stat"), in: proc),
      let end = text.lastIndex(of: UInt8(ascii: ")"))
    else { return }
    process.isKnownAsProgram = true
    var rest = text.dropping(end + 2)
    var fields: (parent: UInt64?, flags: UInt64?)
    // State, parent, group, session, terminal, its group, flags (proc(5)).
    for field in 0..<7 {
      guard let (word, more) = rest.cut(at: 0x20) else { return }
      if field == 1 { fields.parent = word.number() }
      if field == 6 { fields.flags = word.number() }
      rest = more
    }
    let isOfKernel = (fields.flags ?? 0) & 0x0020_0000 != 0 && (fields.parent == 2 || process.id == 2)
    process.isKernelThread = isOfKernel
  }

  /// A table that two processes share is changed by one while the other sleeps. Sharing begins when one is made, so it is
  /// enough to ask a few times; both show the same then.
  private func findSharedTables() {
    for index in known.indices where known[index].timesAlone < 3 && !known[index].isSharing {
      guard known[index].isRead, let first = known[index].held.first else { continue }
      var (isAlone, asked) = (true, 0)
      for other in known.indices where known[other].held.first == first && other != index {
        guard known[other].descriptors == known[index].descriptors, known[other].held == known[index].held else {
          continue
        }
        asked += 1
        guard asked > 32 || areSharing(known[index].id, known[other].id) else { continue }
        known[other].isSharing = true
        isAlone = false
        break
      }
      known[index].isSharing = !isAlone
      known[index].timesAlone += 1
    }
  }

  private func areSharing(_ one: Int32, _ other: Int32) -> Bool {
    // Where the kernel does not say, they are taken to.
    roots.isReal && mpifs_share_descriptors(one, other) != 0
  }

  // MARK: mappings

  /// Brings what is known of every process's mappings up to date, as of the descriptors.
  func readMappings() throws(Errno) {
    let proc = try files.directory(procFolder)
    defer { close(proc) }
    for index in known.indices where !known[index].areMappingsRead && !known[index].isKernelThread {
      do throws(Errno) {
        let maps = try files.read(path.of(known[index].id, "/maps"), in: proc)
        MappedBuffer.append(to: &known[index].mapped, from: maps, texts)
        known[index].areMappingsRead = true
      } catch {
        known[index].areMappingsBlind = error == .permissionDenied || error == .notPermitted
      }
    }
  }

  // MARK: names

  /// The name of a process, as its leader has set it.
  func name(ofProcessAt index: Int) -> String {
    if let name = known[index].name { return name }
    var name = ""
    if let proc = try? files.directory(procFolder) {
      defer { close(proc) }
      if let text = try? files.read(path.of(known[index].id, "/comm"), in: proc, isShort: true) {
        name = texts.text(text.last == 0x0A ? text[from: 0, to: text.count - 1] : text)
      }
    }
    known[index].name = name
    return name
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import Reports

/// How long and how often a thread has run, as `/proc/PID/task/TID/schedstat` counts it (kernel: `proc_pid_schedstat`).
///
/// The second counts up as the thread gets a processor, the first at the latest with the next tick. So a thread of which both
/// are what they were a while ago has run none of its code since.
struct ThreadRun: Equatable {
  var thread: Int32
  var nanoseconds: UInt64
  var times: UInt64

  /// Kernels without `CONFIG_SCHED_INFO` have no such file, and those that do not account write zeros.
  init?(_ thread: Int32, parsing text: KernelBytes) {
    guard let (ran, rest) = text.cut(at: 0x20), let (_, last) = rest.cut(at: 0x20), let nanoseconds = ran.number(),
      let times = (last.cut(at: 0x0A)?.0 ?? last).number(), times > 0
    else { return nil }
    (self.thread, self.nanoseconds, self.times) = (thread, nanoseconds, times)
  }
}

/// A process, and what it has open and mapped, from one look to the next.
///
/// What it has open only its own threads change, and what of another process shares its table of descriptors (`CLONE_FILES`).
/// So where none of its threads has run, and nobody shares the table, it need not be read again.
struct KnownProcess {
  /// A DMA-BUF it has open.
  struct Held: Equatable {
    var inode: UInt64
    /// Bytes.
    var size: UInt64
    var descriptors: Int
  }

  let id: Int32
  /// The inode of its folder: another process of the same number has another.
  let folder: UInt64
  /// Threads of the kernel have nothing open, ever.
  var isKernelThread = false
  var isKnownAsProgram = false

  // MARK: when it last ran

  /// All of its threads; none where that is not known.
  var runs: [ThreadRun] = []
  /// When they were first seen so, CLOCK_MONOTONIC nanoseconds.
  var stillSince: Int64 = 0
  /// Looks in a row before which it ran.
  var changes = 0

  // MARK: what it has open

  /// Everything below is of a time since which it may not have run.
  var isRead = false
  /// It ended while it was looked at.
  var isGone = false
  /// Some of it may not be looked at.
  var isTableBlind = false
  var descriptors = 0
  /// By inode.
  var held: [Held] = []
  /// DMA-BUFs whose inode the kernel does not tell.
  var unidentified = 0
  /// Threads with a table of descriptors of their own.
  var ownTables = 0
  var devices: [MemoryScan.DeviceUse] = []
  /// How often nobody was found who shares its table.
  var timesAlone = 0
  var isSharing = false

  // MARK: what it has mapped

  var areMappingsRead = false
  var areMappingsBlind = false
  /// By inode.
  var mapped: [MappedBuffer] = []

  var name: String?

  init(id: Int32, folder: UInt64) { (self.id, self.folder) = (id, folder) }

  /// Forgets all that it may have changed. What room there is stays.
  mutating func forget() {
    (isRead, isGone, isTableBlind, areMappingsRead, areMappingsBlind) = (false, false, false, false, false)
    (descriptors, unidentified, ownTables) = (0, 0, 0)
    held.removeAll(keepingCapacity: true)
    mapped.removeAll(keepingCapacity: true)
    if !devices.isEmpty { devices.removeAll() }
    name = nil
  }

  /// Whether what is known holds as long as it does not run. What drivers say of its use of them changes by itself.
  var holdsWhileStill: Bool {
    isRead && !runs.isEmpty && devices.isEmpty && !isSharing && (held.isEmpty || timesAlone > 1)
  }
}

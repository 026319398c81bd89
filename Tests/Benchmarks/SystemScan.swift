// SPDX-License-Identifier: Apache-2.0
import Base
import Devices
import Glibc
import Reports

/// What a look at the system's DMA-BUFs costs: over processes that this program starts, and over a tree it makes.
///
/// Real processes hold a file that is called like a buffer, for which the kernel does what it does for one, but that nothing is
/// counted. The tree has everything a kernel shows of buffers, in a filesystem that answers faster than procfs.
enum SystemScan {
  static func run(_ options: Options) throws(BenchError) {
    let processes = try options.count("--processes", 500)
    let descriptors = try options.count("--descriptors", 25)
    let buffers = try options.count("--buffers", 10)
    let looks = try options.count("--looks", 6)
    try measureProcesses(processes, descriptors, buffers, looks)
    guard let folder = options.text("--tree") else { return }
    for hasList in [false, true] {
      let root = "\(folder)/\(hasList ? "list" : "processes")"
      try Tree(root: root).make(processes, descriptors, buffers, hasList: hasList)
      try measure(SystemMemoryWatch(KernelRoots(under: root), isSampling: false), looks, hasList ? "listed" : "tree") {
        $0.buffers.count == processes * buffers
      }
    }
  }

  // MARK: looks

  /// Reports the first look, which reads everything, and the middle of those that find processes as they were.
  private static func measure(
    _ watch: SystemMemoryWatch, _ looks: Int, _ name: String, isWhole: (MemoryScan) -> Bool
  ) throws(BenchError) {
    var costs: [Int64] = []
    var last = MemoryScan()
    for number in 0..<(looks + 3) {
      let scan = Monitor<MemoryScan?>(nil)
      watch.refresh(.holders) { [watch] in
        let report = watch.report
        scan.change { $0 = report.holders }
      }
      guard let seen = scan.wait(until: Clock.now() + .seconds(60), for: { $0 }), isWhole(seen) else {
        throw BenchError("a look at the system's memory saw something else")
      }
      last = seen
      if number == 0 { report("scan.\(name).first", Double(seen.costMicroseconds) / 1000, "ms") }
      // The next two find out that nothing runs.
      if number > 2 { costs.append(seen.costMicroseconds) }
      usleep(1_050_000)
    }
    report("scan.\(name).still", Double(costs.sorted()[costs.count / 2]) / 1000, "ms")
    report("scan.\(name).remembered", Double(last.remembered), "processes")
  }

  // MARK: processes

  private static func measureProcesses(
    _ processes: Int, _ descriptors: Int, _ buffers: Int, _ looks: Int
  ) throws(BenchError) {
    let path = "/dmabuf:mpifs-bench"
    let like = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
    guard like >= 0 else { throw BenchError(errno: errno, "make", path) }
    unlink(path)
    defer { close(like) }
    var children: [pid_t] = []
    defer {
      for child in children { kill(child, SIGKILL) }
      for child in children { waitpid(child, nil, 0) }
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for number in 3..<Int32(3 + descriptors) {
      if number < 3 + buffers {
        posix_spawn_file_actions_adddup2(&actions, like, number + 100)
      } else {
        posix_spawn_file_actions_addopen(&actions, number + 100, "/dev/null", O_RDONLY, 0)
      }
    }
    var arguments = [strdup("sleep"), strdup("1000"), nil]
    defer { for argument in arguments { free(argument) } }
    for _ in 0..<processes {
      var child: pid_t = 0
      let status = posix_spawnp(&child, "sleep", &actions, nil, &arguments, environ)
      guard status == 0 else { throw BenchError(errno: status, "start", "sleep") }
      children.append(child)
    }
    try measure(SystemMemoryWatch(isSampling: false), looks, "processes") { $0.processesSeen >= processes }
  }

  // MARK: a tree

  private struct Tree {
    let root: String

    func make(_ processes: Int, _ descriptors: Int, _ buffers: Int, hasList: Bool) throws(BenchError) {
      folder("")
      folder("/proc")
      var list = "\nDma-buf Objects:\nsize\tflags\tmode\tcount\texp_name\tino\tname\n"
      var inode = 0
      for process in 1000..<(1000 + processes) {
        let place = "/proc/\(process)"
        for name in ["", "/fd", "/fdinfo", "/task", "/task/\(process)"] { folder(place + name) }
        try file(place + "/comm", "process\n")
        try file(place + "/schedstat", "1 1 1\n")
        try file(place + "/maps", Self.maps)
        for number in 0..<descriptors {
          guard number < buffers else {
            symlink("/dev/null", root + place + "/fd/\(number)")
            continue
          }
          inode += 1
          symlink("/dmabuf:frame", root + place + "/fd/\(number)")
          try file(
            place + "/fdinfo/\(number)",
            "pos:\t0\nflags:\t02\nmnt_id:\t9\nino:\t\(inode)\nsize:\t65536\ncount:\t1\nexp_name:\tsystem\nname:\tframe\n"
          )
          list +=
            "00065536\t00000002\t000a0007\t00000001\tsystem\t\(wide(inode))\tframe\n"
            + "\tAttached Devices:\nTotal 0 devices attached\n\n"
        }
      }
      guard hasList else { return }
      for name in ["/sys", "/sys/kernel", "/sys/kernel/debug", "/sys/kernel/debug/dma_buf"] { folder(name) }
      list += "\nTotal \(inode) objects, \(inode * 65536) bytes\n"
      try file("/sys/kernel/debug/dma_buf/bufinfo", list)
    }

    private func wide(_ number: Int) -> String {
      String(repeating: "0", count: max(0, 8 - String(number).count)) + String(number)
    }

    private func folder(_ path: String) { mkdir(root + path, 0o755) }

    private func file(_ path: String, _ text: String) throws(BenchError) {
      guard let file = fopen(root + path, "w") else { throw BenchError(errno: errno, "write", root + path) }
      fputs(text, file)
      fclose(file)
    }

    /// As long as that of a small program.
    private static let maps = (0..<40).map {
      "7f00000\(10 + $0)000-7f00000\(10 + $0)800 r--p 00000000 fe:00 1234   /usr/lib/x86_64-linux-gnu/libc.so.6\n"
    }.joined()
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Reports
internal import SystemPackage

/// The kernel's areas of contiguous memory, from debugfs `cma/AREA/` (kernel: `admin-guide/mm/cma_debugfs.rst`) and
/// `/sys/kernel/mm/cma/AREA/` (`ABI/testing/sysfs-kernel-mm-cma`), whichever there are. Of one thread.
struct ContiguousAreas {
  /// No kernel is built with as many.
  static let most = 256

  private let roots: KernelRoots
  private let files: ProcFiles
  private let pageSize = UInt64(getpagesize())

  init(_ roots: KernelRoots, _ files: ProcFiles) {
    self.roots = roots
    self.files = files
  }

  /// In order of name.
  var names: [String] {
    Array(Set(listDirectory(roots.areas) + listDirectory(roots.areaCounts)).sorted().prefix(Self.most))
  }

  /// All of them, in order of name. What is not told of one is left out; one that vanishes meanwhile is none.
  func look() -> [ContiguousArea] { names.compactMap(area) }

  private func area(_ name: String) -> ContiguousArea? {
    let debug = try? files.directory("\(roots.areas)/\(name)")
    defer { if let debug { close(debug) } }
    let counts = try? files.directory("\(roots.areaCounts)/\(name)")
    defer { if let counts { close(counts) } }
    guard debug != nil || counts != nil else { return nil }
    let pages = number("count", in: debug) ?? number("total_pages", in: counts)
    var used = number("used", in: debug)
    if used == nil, let pages, let free = number("available_pages", in: counts), free <= pages { used = pages - free }
    var area = ContiguousArea(name: name, total: pages.flatMap(bytes), used: used.flatMap(bytes))
    // No area has more in it than it has.
    if let total = area.total, let inUse = area.used, inUse > total { area.used = nil }
    if let debug, let pages, let order = number("order_per_bit", in: debug), order < 64 {
      area.bitmaps = bitmaps(debug, bits: pages >> order)
    }
    return area
  }

  /// Those of its ranges from Linux 6.15 on, where `bitmap` is a link to the first; before, there is the one.
  /// - Parameter bits: so many they have together; others are not this area's.
  private func bitmaps(_ area: CInt, bits: UInt64) -> [[UInt32]] {
    var found: [[UInt32]] = []
    if let ranges = try? files.directory("ranges", in: area) {
      defer { close(ranges) }
      var numbers: [UInt64] = []
      // What cannot be listed to its end is not known.
      guard (try? files.eachNumber(in: ranges) { numbers.append($0.number) }) != nil else { return [] }
      for number in numbers.sorted().prefix(Self.most) {
        guard let words = words("ranges/\(number)/bitmap", in: area) else { return [] }
        found.append(words)
      }
    } else if let words = words("bitmap", in: area) {
      found = [words]
    }
    // The last word of each may be filled in part only.
    let words = UInt64(found.reduce(0) { $0 + $1.count })
    let least = bits / 32 + (bits % 32 > 0 ? 1 : 0)
    return words >= least && words < least + UInt64(max(1, found.count)) ? found : []
  }

  /// Numbers of 32 bits, blanks between them.
  private func words(_ path: String, in directory: CInt) -> [UInt32]? {
    guard let text = try? files.read(path, in: directory) else { return nil }
    var words: [UInt32] = []
    var rest = text
    while !rest.isEmpty {
      guard rest[0] != 0x20, rest[0] != 0x0A else {
        rest = rest.dropping(1)
        continue
      }
      let end = min(rest.position(of: 0x20) ?? rest.count, rest.position(of: 0x0A) ?? rest.count)
      guard let word = rest[from: 0, to: end].number(), let bits = UInt32(exactly: word) else { return nil }
      words.append(bits)
      rest = rest.dropping(end)
    }
    return words
  }

  /// The number that is all a file has in it.
  private func number(_ path: String, in directory: CInt?) -> UInt64? {
    guard let directory, let text = try? files.read(path, in: directory) else { return nil }
    return text[from: 0, to: text.position(of: 0x0A) ?? text.count].number()
  }

  private func bytes(_ pages: UInt64) -> UInt64? {
    let (bytes, isTooLarge) = pages.multipliedReportingOverflow(by: pageSize)
    return isTooLarge ? nil : bytes
  }

  /// `CmaTotal` and `CmaFree` of `/proc/meminfo`, bytes.
  func totals() -> (all: UInt64?, free: UInt64?) {
    guard let text = try? files.read("\(roots.proc)/meminfo") else { return (nil, nil) }
    var (all, free): (UInt64?, UInt64?) = (nil, nil)
    func kibibytes(_ rest: KernelBytes) -> UInt64? {
      guard let (number, unit) = rest.trimmed.cut(at: 0x20), unit.begins(with: "kB") else { return nil }
      return number.number().flatMap { $0 > UInt64.max >> 10 ? nil : $0 << 10 }
    }
    text.eachLine { line in
      if line.begins(with: "CmaTotal:") { all = kibibytes(line.dropping(9)) }
      if line.begins(with: "CmaFree:") { free = kibibytes(line.dropping(8)) }
    }
    return (all, free)
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Reports
internal import SystemPackage

/// Which physical pages lie behind addresses of this process, from `/proc/self/pagemap` (kernel: `admin-guide/mm/pagemap.rst`).
///
/// Nothing is touched: a page that is not in this process's page table is not known. Neither is any of a mapping of bare page
/// frames (`VM_PFNMAP`), which the kernel shows as a hole (`walk_page_test` in its `mm/pagewalk.c`).
struct PhysicalPages: ~Copyable {
  struct Found: Equatable {
    /// In order of address; what follows each other in both orders is one.
    var ranges: [PhysicalRange] = []
    /// Bytes of them.
    var bytes: UInt64 = 0
    /// There are pages, and the kernel keeps their numbers to itself: it tells them with CAP_SYS_ADMIN only.
    var isWithheld = false
  }

  private let descriptor: FileDescriptor
  private let pageSize = Int(getpagesize())
  /// Entries that are read at once.
  private static let batch = 8192

  /// - Parameter proc: in place of `/proc`.
  /// - Throws: what `open(2)` says.
  init(proc: String = "/proc") throws(Errno) {
    let fd = open("\(proc)/self/pagemap", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard fd >= 0 else { throw Errno(rawValue: errno) }
    descriptor = FileDescriptor(rawValue: fd)
  }

  deinit { _ = Glibc.close(descriptor.rawValue) }

  /// What lies behind `size` bytes from the beginning of a page on.
  /// - Throws: what `pread(2)` says.
  func behind(_ address: UnsafeRawPointer, size: Int) throws(Errno) -> Found {
    var found = Found()
    let first = UInt(bitPattern: address) / UInt(pageSize)
    let pages = (max(0, size) + pageSize - 1) / pageSize
    // Where the range before ends, if nothing is missing between it and the next page.
    var open: UInt64?
    var done = 0
    var failure: Errno?
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: min(Self.batch, max(1, pages))) { entries in
      while done < pages {
        let wanted = min(entries.count, pages - done)
        let got = pread(
          descriptor.rawValue, entries.baseAddress, wanted * 8, off_t(clamping: (UInt64(first) + UInt64(done)) * 8))
        if got < 0 {
          if errno == EINTR { continue }
          failure = Errno(rawValue: errno)
          return
        }
        // The addresses end here.
        guard got >= 8 else { return }
        for index in 0..<got / 8 {
          let length = UInt64(min(pageSize, size - (done + index) * pageSize))
          note(entries[index], length, &open, &found)
        }
        done += got / 8
      }
    }
    if let failure { throw failure }
    return found
  }

  /// Bit 63: the page is there; bits 0 to 54: its number.
  private func note(_ entry: UInt64, _ length: UInt64, _ open: inout UInt64?, _ found: inout Found) {
    let number = entry & ((1 << 55) - 1)
    guard entry >> 63 == 1, number > 0 else {
      if entry >> 63 == 1 { found.isWithheld = true }
      open = nil
      return
    }
    let (start, isTooLarge) = number.multipliedReportingOverflow(by: UInt64(pageSize))
    guard !isTooLarge, UInt64.max - start >= length else {
      open = nil
      return
    }
    if open == start {
      found.ranges[found.ranges.count - 1].length += length
    } else {
      found.ranges.append(PhysicalRange(start: start, length: length))
    }
    open = start + length
    found.bytes += length
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What a process has mapped of a file that is called like a DMA-BUF, of `/proc/PID/maps`: whether it is one, its filesystem says.
struct MappedBuffer: Equatable {
  /// Of the filesystem, major number in the upper half.
  var device: UInt64
  var inode: UInt64
  var mappings = 1
  /// Bytes of the longest mapping, and from the buffer's start to the end of what is mapped.
  var length: UInt64
  var reach: UInt64
  var name: String?

  /// Offsets from here on are no place in a buffer: DRM makes them up to tell its objects apart, from 256 MiB on where a
  /// `long` has 32 bits, from 4 GiB elsewhere (kernel: `DRM_FILE_PAGE_OFFSET_START`).
  private static let madeUpOffset: UInt64 = 256 << 20

  /// Appends those of a process, by inode, each once. Other lines cost next to nothing.
  static func append(to list: inout [MappedBuffer], from maps: KernelBytes, _ texts: TextStore) {
    guard maps.contains("/dmabuf:") else { return }
    let start = list.count
    maps.eachLine { line in
      guard line.contains(" /dmabuf:"), let buffer = MappedBuffer(line, texts) else { return }
      list.append(buffer)
    }
    list[start...].sort { ($0.inode, $0.device) < ($1.inode, $1.device) }
    var last = start
    for index in list.indices.dropFirst(start + 1) {
      let next = list[index]
      if list[last].inode == next.inode, list[last].device == next.device {
        list[last].mappings += 1
        list[last].length = max(list[last].length, next.length)
        list[last].reach = max(list[last].reach, next.reach)
      } else {
        last += 1
        list[last] = next
      }
    }
    if last + 1 < list.count { list.removeSubrange((last + 1)...) }
  }

  /// `start-end perms offset device inode path`.
  private init?(_ line: KernelBytes, _ texts: TextStore) {
    guard let (range, afterRange) = line.cut(at: 0x20), let (first, last) = range.cut(at: 0x2D),
      let start = first.number(radix: 16), let end = last.number(radix: 16), end > start,
      let (_, afterModes) = afterRange.cut(at: 0x20), let (offset, afterOffset) = afterModes.cut(at: 0x20),
      let skipped = offset.number(radix: 16), let (device, afterDevice) = afterOffset.cut(at: 0x20),
      let key = Self.device(device, radix: 16), let (number, path) = afterDevice.cut(at: 0x20),
      let inode = number.number(), inode > 0, path.trimmed.begins(with: "/dmabuf:")
    else { return nil }
    self.device = key
    self.inode = inode
    length = end - start
    reach = skipped < Self.madeUpOffset ? length.addingReportingOverflow(skipped).partialValue : length
    let name = path.trimmed.dropping(8)
    self.name = name.isEmpty ? nil : texts.mappedName(name)
  }

  /// `major:minor`, as `maps` writes it in hexadecimal and `mountinfo` in decimal.
  static func device(_ text: KernelBytes, radix: UInt64) -> UInt64? {
    guard let (major, minor) = text.cut(at: 0x3A), let high = major.number(radix: radix),
      let low = minor.number(radix: radix), high <= UInt32.max, low <= UInt32.max
    else { return nil }
    return high << 32 | low
  }

  /// Whether a buffer of so many bytes can be mapped like that: whole pages of it are.
  func fits(_ size: UInt64) -> Bool {
    let page = UInt64(max(1, getpagesize()))
    return max(length, reach) <= size || max(length, reach) - size < page
  }
}

// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// Memory without an exporter: a file that lives in RAM.
public enum Memfd {
  /// A memfd of exactly `size` bytes that cannot shrink (else a reader of its mapping could be killed by SIGBUS).
  /// The name shows in `/proc/PID/maps`.
  public static func create(
    name: String, size: Int, kernel: any Kernel = LinuxKernel()
  ) throws(KernelError) -> Descriptor {
    let fd = try checked("memfd_create", on: name) { kernel.memfd(name) }
    let descriptor = Descriptor(owning: fd, kernel: kernel)
    _ = try checked("ftruncate", on: name) { kernel.truncate(fd, Int64(size)) }
    _ = try checked("F_ADD_SEALS", on: name) { kernel.addSeals(fd, mpifs_SEAL_SHRINK) }
    return descriptor
  }
}

/// Bytes rounded up to whole pages; what heaps and udmabuf ask for.
public func pageAligned(_ size: Int) -> Int {
  let page = Int(getpagesize())
  return (size + page - 1) / page * page
}

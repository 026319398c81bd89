// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxMedia
import Synchronization

/// A kernel whose ioctls all succeed, and that remembers what DMA-BUF ones were passed.
final class IoctlRecorder: Kernel {
  private struct Seen {
    var requests: [UInt] = []
    var strings: [String] = []
    var words: [UInt64] = []
  }
  private let seen = Mutex(Seen())
  private let real = LinuxKernel()

  var requests: [UInt] { seen.withLock { $0.requests } }
  var strings: [String] { seen.withLock { $0.strings } }
  var words: [UInt64] { seen.withLock { $0.words } }

  func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    let text =
      request == mpifs_DMA_BUF_SET_NAME_B
      ? argument.map { String(cString: $0.bindMemory(to: CChar.self, capacity: 32)) } : nil
    let word = request == mpifs_DMA_BUF_IOCTL_SYNC ? argument?.load(as: UInt64.self) : nil
    seen.withLock { seen in
      seen.requests.append(request)
      if let text { seen.strings.append(text) }
      if let word { seen.words.append(word) }
    }
    return 0
  }

  func open(_ path: String, _ flags: CInt) -> CInt { real.open(path, flags) }
  func close(_ fd: CInt) -> CInt { real.close(fd) }
  func mmap(_ length: Int, _ protection: CInt, _ fd: CInt, _ offset: Int64) -> Int64 {
    real.mmap(length, protection, fd, offset)
  }
  func munmap(_ address: UnsafeMutableRawPointer, _ length: Int) -> CInt { real.munmap(address, length) }
  func poll(_ descriptors: UnsafeMutableBufferPointer<pollfd>, _ timeout: CInt) -> CInt {
    real.poll(descriptors, timeout)
  }
  func memfd(_ name: String) -> CInt { real.memfd(name) }
  func truncate(_ fd: CInt, _ length: Int64) -> CInt { real.truncate(fd, length) }
  func addSeals(_ fd: CInt, _ seals: CInt) -> CInt { real.addSeals(fd, seals) }
  func duplicate(_ fd: CInt) -> CInt { real.duplicate(fd) }
  func eventfd() -> CInt { real.eventfd() }
  func seekEnd(_ fd: CInt) -> Int64 { real.seekEnd(fd) }
  func status(_ fd: CInt, _ out: UnsafeMutablePointer<stat>) -> CInt { real.status(fd, out) }
  func read(_ fd: CInt, _ bytes: UnsafeMutableRawBufferPointer) -> Int64 { real.read(fd, bytes) }
  func write(_ fd: CInt, _ bytes: UnsafeRawBufferPointer) -> Int64 { real.write(fd, bytes) }
}

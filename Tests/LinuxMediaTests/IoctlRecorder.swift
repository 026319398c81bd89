// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import LinuxMedia
import Synchronization

/// A kernel whose ioctls all succeed, and that remembers what DMA-BUF ones were passed.
final class IoctlRecorder: KernelWrapper {
  private struct Seen {
    var requests: [UInt] = []
    var strings: [String] = []
    var words: [UInt64] = []
  }
  private let seen = Mutex(Seen())
  let inner: any Kernel = LinuxKernel()

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
}

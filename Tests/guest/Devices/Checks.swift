// SPDX-License-Identifier: Apache-2.0
import Glibc
import LinuxMedia

/// Collects what the guest proved. A failed check is printed at once and makes the program exit with 1.
final class Checks {
  private(set) var failed = 0
  private(set) var passed = 0

  func section(_ title: String) { print("== \(title)") }

  /// One fact. `got` is printed either way: it is what was proved.
  func expect(_ condition: Bool, _ what: String, _ got: @autoclosure () -> String = "") {
    let detail = got()
    print("\(condition ? "ok   " : "FAIL ") \(what)\(detail.isEmpty ? "" : ": \(detail)")")
    // Line by line even into a pipe: what was proved before a crash is worth knowing.
    fflush(nil)
    if condition { passed += 1 } else { failed += 1 }
  }

  func expect<Value: Equatable>(_ what: String, _ got: Value, is wanted: Value) {
    expect(got == wanted, what, got == wanted ? "\(got)" : "\(got), want \(wanted)")
  }

  /// A step that must not throw.
  func run<Result: ~Copyable>(_ what: String, _ body: () throws -> Result) -> Result? {
    do {
      return try body()
    } catch {
      expect(false, what, "\(error)")
      return nil
    }
  }
}

/// Names in a directory.
func entries(_ path: String) -> [String] {
  guard let directory = opendir(path) else { return [] }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
      tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != "." && name != ".." { names.append(name) }
  }
  return names
}

func contents(_ path: String) -> String {
  let fd = open(path, O_RDONLY)
  guard fd >= 0 else { return "" }
  defer { close(fd) }
  var text: [UInt8] = []
  var bytes = [UInt8](repeating: 0, count: 65536)
  while true {
    let got = read(fd, &bytes, bytes.count)
    if got <= 0 { break }
    text += bytes[..<got]
  }
  return String(decoding: text, as: UTF8.self)
}

/// `Total N objects, M bytes` of the kernel's own list of DMA-BUFs.
func kernelDMABufTotal() -> String {
  contents("/sys/kernel/debug/dma_buf/bufinfo").split(separator: "\n").last {
    $0.hasPrefix("Total") && $0.hasSuffix("bytes")
  }
  .map(String.init) ?? "no bufinfo"
}

func now() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Devices whose drivers offer fewer formats than they do: the ones hidden are skipped when formats are listed.
struct HidingFormats: KernelWrapper {
  let inner: any Kernel = LinuxKernel()
  let hidden: Set<FourCC>
  private static let enumerate: UInt = 0xc040_5602  // VIDIOC_ENUM_FMT
  private static let fourccOffset = 44

  func ioctl(_ fd: CInt, _ request: UInt, _ argument: UnsafeMutableRawPointer?) -> CInt {
    let result = inner.ioctl(fd, request, argument)
    guard request == HidingFormats.enumerate, result == 0, let argument else { return result }
    let fourcc = FourCC(rawValue: argument.load(fromByteOffset: HidingFormats.fourccOffset, as: UInt32.self))
    // An unknown one in its place, so that the numbering stays.
    if hidden.contains(fourcc) {
      argument.storeBytes(of: 0x3030_3030, toByteOffset: HidingFormats.fourccOffset, as: UInt32.self)
    }
    return result
  }
}

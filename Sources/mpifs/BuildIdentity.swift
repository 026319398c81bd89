// SPDX-License-Identifier: Apache-2.0
import Glibc
import Reports

extension SystemIdentity {
  /// This program on this machine: what the `version:` and `build:` lines of the vendor's nodes say.
  static func ofThisProgram() -> SystemIdentity {
    SystemIdentity(
      program: "mpifs", version: Version.number, commit: Version.commit, buildAuthor: "",
      buildTime: CivilTime(stamp: Version.buildTime), kernel: kernelName(), processID: getpid())
  }

  /// `Linux 6.1.0 #1 SMP x86_64`, as `uname` gives it.
  private static func kernelName() -> String {
    var name = utsname()
    guard uname(&name) == 0 else { return "" }
    func text<T>(_ field: T) -> String {
      withUnsafeBytes(of: field) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
    }
    return [text(name.sysname), text(name.release), text(name.version), text(name.machine)].joined(separator: " ")
  }
}

extension CivilTime {
  /// From `YYYY-MM-DD-HH:MM:SS`; the first second of 1970 for a build that was not stamped.
  init(stamp: String) {
    let numbers = stamp.split { $0 == "-" || $0 == ":" }.compactMap { Int($0) }
    guard numbers.count == 6 else {
      self.init(year: 1970, month: 1, day: 1)
      return
    }
    self.init(
      year: numbers[0], month: numbers[1], day: numbers[2], hour: numbers[3], minute: numbers[4], second: numbers[5])
  }
}

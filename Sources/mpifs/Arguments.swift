// SPDX-License-Identifier: Apache-2.0
import CLinux

/// What stands on the command line.
enum Arguments {
  /// Those after the program's name; nil where nobody can tell them.
  static var given: [String]? {
    var count: Int32 = 0
    guard let values = mpifs_arguments(&count), count > 0 else {
      // Another C library than glibc: Swift's own way, through /proc.
      return CommandLine.arguments.isEmpty ? nil : Array(CommandLine.arguments.dropFirst())
    }
    return (1..<max(Int(count), 1)).compactMap { values[$0].map { String(cString: $0) } }
  }
}

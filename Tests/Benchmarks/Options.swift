// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Why a measurement could not be made.
struct BenchError: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }

  /// The last system call's error, with what was tried and on what.
  init(errno number: Int32, _ action: String, _ path: String) {
    description = "\(action) \(path): \(String(cString: strerror(number)))"
  }
}

/// `--name value` pairs of a subcommand.
struct Options {
  private var values: [String: String] = [:]

  init(_ arguments: ArraySlice<String>) {
    var rest = arguments
    while let name = rest.popFirst() {
      let isFlag = rest.first?.hasPrefix("--") ?? true
      values[name] = isFlag ? "" : rest.popFirst()
    }
  }

  func has(_ name: String) -> Bool { values[name] != nil }

  func text(_ name: String) -> String? { values[name] }

  func required(_ name: String) throws(BenchError) -> String {
    guard let value = values[name], !value.isEmpty else { throw BenchError("\(name) is missing") }
    return value
  }

  /// A whole number above zero.
  func count(_ name: String, _ standard: Int) throws(BenchError) -> Int {
    guard let text = values[name] else { return standard }
    guard let value = Int(text), value > 0 else { throw BenchError("\(name) takes a number above 0, not '\(text)'") }
    return value
  }
}

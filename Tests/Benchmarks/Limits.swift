// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Compares the figures of a run with the limits kept in the repository. A limit is a ratio, a count or a size, so that
/// it holds on any machine; a limit whose figure is missing has failed.
enum Limits {
  struct Limit {
    var name: String
    var isUpper: Bool
    var value: Double
  }

  static func run(_ options: Options) throws(BenchError) {
    let limits = try parse(try lines(of: try options.required("--limits")))
    var figures: [String: Double] = [:]
    while let line = readLine() {
      let parts = line.split(separator: " ")
      if parts.count == 3, let value = Double(parts[1]) { figures[String(parts[0])] = value }
    }
    var failures = 0
    for limit in limits {
      let bound = "\(limit.isUpper ? "<=" : ">=") \(decimal(limit.value))"
      guard let figure = figures[limit.name] else {
        print("MISSING \(limit.name): no figure (limit \(bound))")
        failures += 1
        continue
      }
      let holds = limit.isUpper ? figure <= limit.value : figure >= limit.value
      if !holds { failures += 1 }
      print("\(holds ? "ok     " : "FAILED ") \(limit.name) \(decimal(figure)) \(bound)")
    }
    print("\(limits.count - failures) of \(limits.count) limits hold")
    guard failures == 0 else { throw BenchError("\(failures) limits do not hold") }
  }

  /// Lines `name <= value` or `name >= value`; `#` starts a comment.
  static func parse(_ lines: [String]) throws(BenchError) -> [Limit] {
    var limits: [Limit] = []
    for line in lines {
      let parts = line.prefix { $0 != "#" }.split(separator: " ")
      guard !parts.isEmpty else { continue }
      guard parts.count == 3, parts[1] == "<=" || parts[1] == ">=", let value = Double(parts[2]) else {
        throw BenchError("not a limit: \(line)")
      }
      limits.append(Limit(name: String(parts[0]), isUpper: parts[1] == "<=", value: value))
    }
    return limits
  }

  private static func lines(of path: String) throws(BenchError) -> [String] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)
    defer { buffer.deallocate() }
    let size = try NodeReads.read(path, buffer)
    return String(decoding: buffer[..<size], as: UTF8.self).split(separator: "\n").map(String.init)
  }
}

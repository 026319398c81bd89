// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Monotonic time in nanoseconds.
func now() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// So many nanoseconds are waited for what takes some milliseconds: for machines that have little time for this program.
let patience: UInt64 = 120_000_000_000

/// Prints one figure as `name value unit`, the form that `compare` and `Tests/bench` read.
func report(_ name: String, _ value: Double, _ unit: String) {
  print("\(name) \(decimal(value)) \(unit)")
  fflush(nil)
}

/// Writes a line to stderr.
func complain(_ text: String) {
  let line = text + "\n"
  _ = write(STDERR_FILENO, line, line.utf8.count)
}

/// Three places behind the point, without Foundation.
func decimal(_ value: Double) -> String {
  let thousandths = Int((value * 1000).rounded())
  let digits = String(abs(thousandths) % 1000)
  let zeros = String(repeating: "0", count: 3 - digits.count)
  return "\(thousandths < 0 ? "-" : "")\(abs(thousandths) / 1000).\(zeros)\(digits)"
}

/// Samples of one quantity.
struct Samples {
  private var values: [Double] = []

  mutating func reserve(_ count: Int) { values.reserveCapacity(count) }

  mutating func append(_ value: Double) { values.append(value) }

  /// The value below which `share` (0...1) of the samples lie; 0 without samples.
  func quantile(_ share: Double) -> Double {
    guard !values.isEmpty else { return 0 }
    return values.sorted()[min(values.count - 1, Int(Double(values.count) * share))]
  }

  var median: Double { quantile(0.5) }
}

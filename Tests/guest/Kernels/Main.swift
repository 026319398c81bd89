// SPDX-License-Identifier: Apache-2.0
import CPictures
import Glibc
import KernelChecks

/// Runs the loops over pixels that are written with a processor's own instructions beside the plain ones, on the processor at hand, and
/// counts each kernel as one check. Exits with 1 when one failed, or the processor's instructions are not used.
@main struct Main {
  static func main() throws {
    var (passed, failed) = (0, 0)
    func expect(_ condition: Bool, _ what: String) {
      print("\(condition ? "ok   " : "FAIL ") \(what)")
      if condition { passed += 1 } else { failed += 1 }
    }
    #if arch(arm64)
      let wanted = "NEON"
    #else
      let wanted = "AVX2"
    #endif
    let instructions = String(cString: pictures_instructions())
    expect(instructions == wanted, "the instructions in use: \(instructions)")
    var comparison = Comparison()
    try comparison.scale(rounds: 1200)
    try comparison.shorten()
    comparison.blendAll()
    comparison.blendLines()
    for name in Comparison.scalingKernels + ["10 bit", "blend", "blend, lines"] {
      let wrong = comparison.different.filter { $0.hasPrefix("\(name):") }
      let seen = comparison.seen[name, default: 0]
      expect(wrong.isEmpty && seen >= 20, "\(name), the same bytes as plain code: \(seen) times")
      for line in wrong.prefix(10) { print("      \(line)") }
    }
    print("kernels: \(passed) checks passed, \(failed) failed")
    exit(failed == 0 ? 0 : 1)
  }
}

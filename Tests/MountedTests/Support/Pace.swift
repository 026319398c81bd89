// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

extension Served {
  /// A source, `vi` or `vdec`, gives so many frames a second. Never more, but for a quarter of a second that it may have to catch up; and as many in
  /// some stretch of time, as a machine that has much to do gives fewer now and then.
  /// - Parameter count: of frames that are waited for at a time.
  func expectPace(
    _ object: String, _ rate: Double, of count: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let kind = object.prefix { $0 != "/" }
    let name = "mpifs_\(kind)_output_frames_total{object=\"\(object)\"}"
    var (frames, seconds) = (0.0, 0.0)
    let keepsUp = try eventually {
      let start = ContinuousClock.now
      let first = Metrics(try cat("metrics"))
      guard try advances(object, "frames_out", by: count) else { return false }
      let last = Metrics(try cat("metrics"))
      // Longer than between any two moments in which something stood in the two pages.
      let most = (ContinuousClock.now - start) / .seconds(1)
      frames = try #require(last[name]) - (first[name] ?? 0)
      seconds = try #require(last["mpifs_uptime_seconds"]) - (try #require(first["mpifs_uptime_seconds"]))
      #expect(
        frames <= 1.08 * rate * (most + 0.25) + 2, "\(frames) frames in less than \(most) s",
        sourceLocation: sourceLocation)
      return (0.85 * rate...1.08 * rate).contains(frames / seconds)
    }
    #expect(keepsUp, "\(frames) frames in \(seconds) s", sourceLocation: sourceLocation)
  }
}

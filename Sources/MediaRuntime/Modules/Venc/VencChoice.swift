// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore

/// Which of the engines that could serve an encoder channel does: the first, in the order of preference, that can be opened.
/// One that refuses is passed over and asked again later, ever more seldom, so that a channel that went over to software
/// comes back to its device. A value of the session's worker.
struct VencChoice {
  /// After so long a device that refused is asked again the first time, and the last. Nanoseconds.
  private static let delays: ClosedRange<Int64> = .seconds(2) ... .seconds(60)

  /// Engines before the one in use, and what they said.
  private var passedOver: [(name: String, why: String)] = []
  /// Engines that were opened and gave no picture. Not asked again before devices come or go.
  private var hopeless: [String: String] = [:]
  /// CLOCK_MONOTONIC nanoseconds.
  private var askAt = Int64.max
  private var delay = VencChoice.delays.lowerBound
  /// When a better engine last took over. One that fails again soon is asked the more seldom.
  private var returnedAt: Int64?
  /// The catalogue that was chosen from.
  private var version = 0

  typealias Make = (any EncoderFactory) throws(Failure) -> VencEngine

  /// Opens the first engine that can be opened.
  /// - Parameter candidates: the preferred first; not empty.
  /// - Throws: what the first of them said, when none can.
  mutating func open(
    _ candidates: [any EncoderFactory], at now: Int64, version: Int, _ make: Make
  ) throws(Failure) -> VencEngine {
    note(version)
    // Where nothing else is left they have another try.
    if candidates.allSatisfy({ hopeless[$0.name] != nil }) { hopeless = [:] }
    var refusals: [Failure] = []
    guard let engine = first(of: candidates, &refusals, make) else {
      passedOver = []
      throw refusals.first ?? Failure(.notSupported, "open", on: "encoder", "there is no engine")
    }
    if let returnedAt, now - returnedAt < VencChoice.delays.upperBound {
      delay = min(delay * 2, VencChoice.delays.upperBound)
    } else {
      delay = VencChoice.delays.lowerBound
    }
    askAt = refusals.isEmpty ? .max : now + delay
    return engine
  }

  /// Whether it is time to look for a better engine than the one in use.
  @inline(__always) func isDue(at now: Int64, version: Int) -> Bool { now >= askAt || version != self.version }

  /// Opens an engine that is preferred to the one in use; `nil` when there is none, or none that can be opened.
  mutating func better(
    than current: any EncoderFactory, _ candidates: [any EncoderFactory], at now: Int64, version: Int, _ make: Make
  ) -> VencEngine? {
    note(version)
    askAt = .max
    // A device that was pulled out while it is in use says so itself.
    guard let position = candidates.firstIndex(where: { $0.name == current.name }) else { return nil }
    var refusals: [Failure] = []
    if let engine = first(of: Array(candidates[..<position]), &refusals, make) {
      returnedAt = now
      return engine
    }
    guard !refusals.isEmpty else { return nil }
    delay = min(delay * 2, VencChoice.delays.upperBound)
    askAt = now + delay
    return nil
  }

  /// The engine was opened and gave nothing.
  mutating func giveUp(_ name: String, _ failure: Failure) { hopeless[name] = "\(failure)" }

  private mutating func note(_ version: Int) {
    guard version != self.version else { return }
    self.version = version
    hopeless = [:]
    delay = VencChoice.delays.lowerBound
  }

  private mutating func first(
    of candidates: [any EncoderFactory], _ refusals: inout [Failure], _ make: Make
  ) -> VencEngine? {
    passedOver = []
    for factory in candidates {
      if let why = hopeless[factory.name] {
        passedOver.append((factory.name, why))
        continue
      }
      do throws(Failure) {
        return try make(factory)
      } catch {
        passedOver.append((factory.name, "\(error)"))
        refusals.append(error)
      }
    }
    return nil
  }

  /// Why this engine, for `active`.
  func why(_ factory: any EncoderFactory) -> String {
    let reason = factory.isHardware ? "a device is there" : "no device here encodes this"
    return "auto: "
      + (passedOver.isEmpty ? reason : passedOver.map { "\($0.name): \($0.why)" }.joined(separator: "; "))
  }
}

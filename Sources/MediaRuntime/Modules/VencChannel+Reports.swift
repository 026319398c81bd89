// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// What `active` and `stats` of an encoder channel show besides the common lines.
extension VencChannel {
  func activeFacts() -> [KeyValue] {
    guard let used else { return [] }
    let asked = current.text("backend") ?? "auto"
    var facts = [
      KeyValue(key: "backend", value: used.factory.name), KeyValue(key: "engine", value: used.engine),
      KeyValue(key: "codec", value: used.configuration.codec.rawValue),
      KeyValue(
        key: "profile", value: syntax.value?.profileName ?? used.configuration.profile),
      KeyValue(key: "width", value: "\(used.layout.width)"), KeyValue(key: "height", value: "\(used.layout.height)"),
      KeyValue(key: "format", value: "\(used.layout.format)"), KeyValue(key: "conversion", value: used.conversion),
      KeyValue(key: "memory", value: used.pool?.memoryKind ?? "the source's"),
      KeyValue(key: "fps", value: "\(used.configuration.frameRate)"),
      KeyValue(key: "ring", value: "\(ring.figures.capacity) of at most \(environment.options.ringLimit) bytes"),
      KeyValue(key: "stream", value: "\(path)/stream"),
    ]
    if asked == "auto" { facts.append(KeyValue(key: "backend_why", value: used.why)) }
    facts += used.remarks.map { KeyValue(key: "differs", value: $0) }
    return facts.filter { !$0.value.isEmpty }
  }

  func moreStatistics() -> [KeyValue] {
    let ring = ring.figures
    let coded = encoderCounters.figures()
    return [
      KeyValue(key: "key_frames", value: "\(coded.keys)"),
      KeyValue(key: "readers", value: "\(ring.readers)"),
      KeyValue(key: "reader_lost_pictures", value: "\(ring.lostPackets)"),
      KeyValue(key: "reader_lost_groups", value: "\(ring.lostGroups)"),
      KeyValue(key: "ring_refused", value: "\(ring.refused)"),
    ]
  }
}

/// What an encoder channel has in use.
struct VencInUse: Sendable {
  let factory: any EncoderFactory
  let engine: String
  let configuration: EncoderConfiguration
  let layout: FrameLayout
  let conversion: String
  let pool: Pool?
  /// Ends a wait for the engine.
  let waker: (any Waker)?
  /// Why this engine, where it was to be found.
  let why: String
  /// Where the engine does something else than was asked.
  let remarks: [String]
}

extension ObjectSettings {
  /// A value as its attribute reads back, for a line of `effect`.
  func shown(_ key: String) -> String {
    switch self[key] {
    case .integer(let value): "\(value)"
    case .boolean(let value): value ? "1" : "0"
    case .rate(let value): "\(value)"
    case .text(let value): value
    case .object(let value): "\(value)"
    case .rectangle(let value): "\(value.x),\(value.y),\(value.width),\(value.height)"
    case .none: key.hasPrefix("fps") ? "-1" : key.hasPrefix("qp") ? "auto" : ""
    }
  }
}

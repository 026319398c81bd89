// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage

/// Who takes his buffers from which pool: it is there, it runs while he does, and it is not taken from under him.
extension Planner {
  func givesBuffers(_ path: ObjectPath) -> Bool { settingsTable.module(path.type)?.givesBuffers ?? false }

  /// The settings an object has then; `nil` for one that is not there then.
  private func finalSettings(_ path: ObjectPath) -> ObjectSettings? {
    present.contains(path) ? found[path] ?? table.entries[path]?.used : nil
  }

  func finalPool(_ path: ObjectPath) -> ObjectPath? {
    if let value = written[path]?[CommonRows.poolKey] {
      if case .object(let pool) = value { return pool }
      return nil
    }
    return table.entries[path]?.used.object(CommonRows.poolKey)
  }

  /// - Throws: ENOENT a pool that is not there, ENOBUFS one that is stopped, EBUSY one that is to be stopped and is in use.
  func checkPools(_ plan: inout Plan) throws(Refusal) {
    for path in present.sorted(by: settingsTable.precedes) {
      guard let settings = finalSettings(path), let pool = settings.object(CommonRows.poolKey) else { continue }
      guard present.contains(pool) else {
        throw withBytes(
          Refusal(
            .noSuchFileOrDirectory, path: "\(path)/\(CommonRows.poolKey)", value: Array("\(pool)".utf8),
            reason: "there is no \(pool)", hint: "mkdir \(pool) makes it"))
      }
      guard settings.flag("enable") else { continue }
      let isFed = finalSettings(pool)?.flag("enable") ?? false
      if isFed, !plan.stops.contains(pool) { continue }
      let isKept = table.entries[path]?.isEnabled ?? false && !plan.stops.contains(path)
      if isFed {
        // The pool is made anew, and so is what takes from it.
        if isKept {
          plan.stops.append(path)
          plan.starts.append(path)
        }
      } else if isKept {
        throw Refusal(
          .resourceBusy, path: "\(pool)/enable", reason: "\(pool) gives its buffers to \(path)",
          hint: "stop that first: echo 0 > \(path)/enable")
      } else {
        throw Refusal(
          .noBufferSpace, path: "\(path)/enable", reason: "takes its buffers from \(pool), which is stopped",
          hint: "start that first: echo 1 > \(pool)/enable")
      }
    }
  }
}

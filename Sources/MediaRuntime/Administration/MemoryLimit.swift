// SPDX-License-Identifier: Apache-2.0
public import MediaCore
import SystemPackage

/// `memory_limit`, the one setting that belongs to no object: bytes of picture memory that may be held.
enum MemoryLimit {
  static let key = "memory_limit"
  /// No value: half of what the machine had to spare when the program started.
  static let type = SettingType.integer((1 << 20)...(1 << 50), off: "auto")

  static func parse(_ bytes: [UInt8], path: String = key) throws(Refusal) -> SettingValue {
    do throws(ValueError) {
      return try SettingText.parse(bytes, type, unit: "bytes", isName: { _ in false })
    } catch {
      throw Refusal(error.errno, path: path, value: bytes, reason: error.reason, hint: error.hint)
    }
  }

  static func bytes(_ value: SettingValue) -> Int? {
    if case .integer(let bytes) = value { return bytes }
    return nil
  }
}

extension Runtime {
  /// What `memory_limit` reads: what was asked, bytes or `auto`.
  public var memoryLimitText: String { administrator.memoryLimit.text(MemoryLimit.type) }

  /// What values it takes, for `help`.
  public static var memoryLimitRange: String { MemoryLimit.type.range }

  /// Bounds what objects may ask for from now on; what is held stays. A refusal is in ``errorLog`` before `reply` is called.
  public func setMemoryLimit(_ bytes: [UInt8], reply: @escaping @Sendable (Refusal?) -> Void) {
    do throws(Refusal) {
      administrator.apply(Transaction(changes: [], memoryLimit: try MemoryLimit.parse(bytes)), reply: reply)
    } catch {
      errorLog.record(error)
      reply(error)
    }
  }
}

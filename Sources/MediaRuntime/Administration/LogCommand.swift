// SPDX-License-Identifier: Apache-2.0
public import MediaCore
import Reports
import SystemPackage

/// What may be written to the module log: `venc=3`, `all=5`, `clear`.
extension ModuleLog {
  /// Carries out one written line.
  /// - Throws: EINVAL when it is no command, ENOENT for a module that does not exist, ERANGE for a level.
  public func command(_ bytes: [UInt8], path: String = "vlog") throws(Refusal) {
    func refusal(_ errno: Errno, _ reason: String) -> Refusal {
      Refusal(
        errno, path: path, value: bytes, reason: reason,
        hint: "name=level or clear; names: all \(modules.map(\.name).joined(separator: " ")); "
          + "levels: 0 off, 2 errors, 3 warnings, 4 information, 5 debug")
    }
    let content = SettingText.trimmed(bytes)
    guard content.count <= 64 else { throw refusal(.argListTooLong, "\(bytes.count) bytes are too long") }
    guard let text = String(validating: content, as: UTF8.self) else { throw refusal(.invalidArgument, "is not text") }
    if text == "clear" {
      clear()
      return
    }
    let parts = text.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2 else { throw refusal(.invalidArgument, text.isEmpty ? "is empty" : "is no command") }
    let level = parts[1]
    guard !level.isEmpty, level.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      throw refusal(.invalidArgument, "has no number for a level")
    }
    guard let value = Int(level), Self.levels.contains(value) else { throw refusal(.outOfRange, "has no such level") }
    if parts[0] == "all" {
      for module in modules { setLevel(value, of: module) }
    } else if let module = modules.first(where: { $0.name == parts[0] }) {
      setLevel(value, of: module)
    } else {
      throw refusal(.noSuchFileOrDirectory, "there is no module of this name")
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Base
import Devices
import MediaCore
import MediaRuntime
import SystemPackage

/// The configuration of the start: where it comes from, and how it is loaded. Only what is wrong in it ends the program;
/// what is absent or does not answer is waited for.
struct StartConfiguration: Sendable {
  private let file: String?
  private let isEmpty: Bool
  /// Input of `vi/0` in place of the text's, and whether the user asked for it.
  private let input: String?
  private let isInputAsked: Bool

  init(options: Options, input: String?, inventory: DeviceInventory) {
    isEmpty = options.load == "none"
    file = isEmpty ? nil : options.load
    isInputAsked = input != nil
    let isDefault = options.load == nil && input == nil
    self.input =
      input ?? (isDefault ? inventory.firstCamera(converting: Program.converters.flatMap(\.inputs)) : nil)
  }

  /// Reads and loads it. May hang as the file may.
  /// - Returns: why the program cannot go on; `nil` when it is loaded.
  func load(into runtime: Runtime) -> StartFailure? {
    if isEmpty {
      return isInputAsked ? StartFailure("--input goes with a configuration, not with --load none") : nil
    }
    let text: [UInt8]
    do throws(StartFailure) {
      text = try file.map { file throws(StartFailure) in try Self.contents(file) } ?? PackageResources.mpifs_conf
    } catch {
      return error
    }
    let name = file ?? "the default configuration"
    if let input, !isInputAsked {
      // Nobody asked for this camera: it being busy or broken must not keep the pipeline from running.
      guard let refusal = load(text, name, input: input, waits: false, into: runtime) else { return nil }
      Program.complain("\(refusal); using the test pattern instead")
      return load(text, name, input: nil, waits: true, into: runtime).map { StartFailure("\($0)") }
    }
    return load(text, name, input: input, waits: true, into: runtime).map { StartFailure("\($0)") }
  }

  private func load(
    _ text: [UInt8], _ name: String, input: String?, waits: Bool, into runtime: Runtime
  ) -> MediaCore.Refusal? {
    // `nil`: not answered yet.
    let answer = Monitor<MediaCore.Refusal??>(nil)
    var overriding: [Change] = []
    if let input, let path = ObjectPath("vi", 0) { overriding = [.set(path, "input", input)] }
    runtime.loadConfig(text, name: name, overriding: overriding, waits: waits) { refusal in
      answer.change { $0 = .some(refusal) }
    }
    return answer.wait { $0 } ?? nil
  }

  private static func contents(_ file: String) throws(StartFailure) -> [UInt8] {
    do {
      let descriptor = try FileDescriptor.open(file, .readOnly, options: .closeOnExec)
      defer { try? descriptor.close() }
      var bytes: [UInt8] = []
      var chunk = [UInt8](repeating: 0, count: 65536)
      while true {
        let count = try chunk.withUnsafeMutableBytes { try descriptor.read(into: $0) }
        if count == 0 { return bytes }
        bytes += chunk[..<count]
        if bytes.count > 1 << 20 { throw Errno.fileTooLarge }
      }
    } catch {
      throw StartFailure("--load \(file): \(error)")
    }
  }
}

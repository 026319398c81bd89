// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Runs LinuxMedia and Devices against real kernel drivers: vivid, vicodec, vim2m, vkms, dma-heaps, udmabuf.
///
/// `guest-devices [memory|inventory|capture|faults|encoder|decoder|leaks]...`; all of them without arguments. The nodes come from the
/// environment the guest sets. Exits with 1 when a check failed. `guest-devices hold ...` leaks instead, see ``Leaking``.
@main struct Main {
  static func main() {
    func node(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "/dev/no-\(name)" }
    let all = ["memory", "inventory", "capture", "faults", "encoder", "decoder", "leaks"]
    let wanted = CommandLine.arguments.count > 1 ? Array(CommandLine.arguments.dropFirst()) : all
    if wanted.first == "hold" {
      Leaking(camera: node("VIVID_CAP"), card: node("VKMS_CARD")).run(Array(wanted.dropFirst()))
    }
    let checks = Checks()
    let camera = node("VIVID_CAP")
    for name in wanted {
      switch name {
      case "memory": memoryScenario(checks)
      case "inventory":
        inventoryScenario(
          checks, camera: camera, encoder: node("VICODEC_ENC"), decoder: node("VICODEC_DEC"), scaler: node("VIM2M"),
          card: node("VKMS_CARD"))
      case "capture": captureScenario(checks, camera: camera, multiplanar: getenv("MULTIPLANAR") != nil)
      case "faults":
        faultScenario(checks, camera: camera)
        signalScenario(checks, camera: camera)
        disconnectScenario(checks, camera: camera)
      case "encoder":
        encoderScenario(checks, camera: camera, encoder: node("VICODEC_ENC"), decoder: node("VICODEC_DEC"))
      case "decoder": decoderScenario(checks, encoder: node("VICODEC_ENC"), decoder: node("VICODEC_DEC"))
      case "leaks": leakScenario(checks, camera: camera)
      default:
        print("no scenario \(name): \(all.joined(separator: " "))")
        exit(2)
      }
    }
    print("guest-devices: \(checks.passed) checks passed, \(checks.failed) failed")
    exit(checks.failed == 0 && checks.passed > 0 ? 0 : 1)
  }
}

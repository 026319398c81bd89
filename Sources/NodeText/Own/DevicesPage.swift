// SPDX-License-Identifier: Apache-2.0

import Reports

/// `devices`: what this machine has and who uses it. One block a device, `key: value` lines below its name:
///
///     /dev/video2
///       role: encoder (FWHT)
///       used_by: venc/1
public enum DevicesPage {
  static let page = Page("devices", capacity: 8192, "what this machine has and who uses it") {
    write($0.devices, objects: $0.objects, to: &$1)
  }

  /// Writes the page.
  /// - Parameter objects: The objects of the tree; those whose `active` names a device as `backend` use it.
  public static func write(_ report: DevicesReport, objects: [ObjectState], to out: inout TextWriter) {
    if report.videos.isEmpty && report.cards.isEmpty {
      out.text("no V4L2 device and no display: inputs are files and the test pattern, engines are software\n")
    }
    for video in report.videos { write(video, users(of: video.path, objects), to: &out) }
    for card in report.cards {
      out.line(card.path)
      out.newline()
      line("role", "display", to: &out)
      line("driver", card.driver, to: &out)
      let connectors = card.connectors.map { "\($0.name) \($0.isConnected ? "connected" : "disconnected")" }
      line("connectors", connectors.isEmpty ? "none" : connectors.joined(separator: ", "), to: &out)
      for connector in card.connectors { write(connector, of: card, objects, to: &out) }
      line("used_by", users(of: card.path, objects), to: &out)
    }
    for node in report.refused {
      out.line(node.key)
      out.newline()
      line("refused", node.value, to: &out)
    }
    out.text("memory\n")
    line("heaps", report.heaps.isEmpty ? "none" : report.heaps.joined(separator: " "), to: &out)
    line("udmabuf", report.hasUdmabuf ? "yes" : "no", to: &out)
    line("pools", report.memoryChoice, to: &out)
  }

  private static func write(_ video: VideoDeviceReport, _ users: String, to out: inout TextWriter) {
    out.line(video.path)
    out.newline()
    line("role", video.role, to: &out)
    line("driver", video.driver, to: &out)
    line("card", video.card, to: &out)
    line("bus", video.bus, to: &out)
    if !video.formatsIn.isEmpty { line("formats_in", video.formatsIn.joined(separator: " "), to: &out) }
    if !video.formatsOut.isEmpty { line("formats_out", video.formatsOut.joined(separator: " "), to: &out) }
    if !video.formatsIn.isEmpty { line("memory_in", video.memoryIn ?? "N/A", to: &out) }
    if !video.formatsOut.isEmpty { line("memory_out", video.memoryOut ?? "N/A", to: &out) }
    line("planes", video.isMultiplanar ? "multi" : "single", to: &out)
    if video.needsMediaController { line("media_controller", "must set it up first", to: &out) }
    line("backend", video.engine ?? "none", to: &out)
    line("used_by", users, to: &out)
  }

  /// Longest list of modes that is printed; monitors have dozens.
  private static let shownModes = 8

  private static func write(
    _ connector: CardReport.Connector, of card: CardReport, _ objects: [ObjectState], to out: inout TextWriter
  ) {
    guard !connector.modes.isEmpty else { return }
    var modes = connector.modes.prefix(shownModes).joined(separator: " ")
    if connector.modes.count > shownModes { modes += " and \(connector.modes.count - shownModes) more" }
    let names = objects.filter { object in
      object.active.contains { $0.key == "backend" && $0.value == card.path }
        && object.active.contains { $0.key == "connector" && $0.value == connector.name }
    }.map(\.path)
    out.text("  ")
    out.line(connector.name)
    out.text(": ")
    if let monitor = connector.monitor { out.line("\(monitor), ") }
    out.line(modes)
    if !names.isEmpty { out.line(", in use by \(names.joined(separator: " "))") }
    out.newline()
  }

  private static func users(of path: String, _ objects: [ObjectState]) -> String {
    let names = objects.filter { object in
      object.active.contains { $0.key == "backend" && $0.value == path }
    }.map(\.path)
    return names.isEmpty ? "nobody here" : names.joined(separator: " ")
  }

  private static func line(_ key: StaticString, _ value: String, to out: inout TextWriter) {
    out.text("  ")
    out.text(key)
    out.text(": ")
    out.line(value)
    out.newline()
  }
}

// SPDX-License-Identifier: Apache-2.0

/// `memory_limit`: what was asked, bytes or `auto`. What that comes to stands in `metrics`.
public enum MemoryLimitPage {
  static let page = Page(
    "memory_limit", capacity: 32, takes: intake,
    "bytes all media buffers together may take; a start that would pass it is refused; auto is half of what was free at the start"
  ) {
    out(&$1, $0.memoryLimit)
  }

  private static func out(_ out: inout TextWriter, _ text: String) {
    out.line(text)
    out.newline()
  }

  private static let intake: Intake = {
    var intake = Intake("1048576..1125899906842624 or auto", limit: 64) { .setMemoryLimit($0) }
    intake.type = "integer"
    intake.defaultValue = "auto"
    return intake
  }()
}

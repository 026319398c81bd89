// SPDX-License-Identifier: Apache-2.0

/// The vendor's `supports-cmd`: the commands of its device node, fixed text. There is no such device node here; scripts
/// look whether the page is there.
public enum SupportsCmdPage {
  static let page = Page("mpp_service/supports-cmd", capacity: 1024, "the vendor's list of commands, fixed text") {
    write(to: &$1)
  }

  /// Names and numbers, in groups. The numbers of `..._BUTT` are the first that is no command any more.
  private static let groups: [[(name: StaticString, number: UInt32)]] = [
    [("QUERY_HW_SUPPORT", 0), ("QUERY_HW_ID", 1), ("QUERY_CMD_SUPPORT", 2), ("QUERY_BUTT", 3)],
    [("INIT_CLIENT_TYPE", 0x100), ("INIT_TRANS_TABLE", 0x102), ("INIT_BUTT", 0x103)],
    [
      ("SET_REG_WRITE", 0x200), ("SET_REG_READ", 0x201), ("SET_REG_ADDR_OFFSET", 0x202), ("SEND_BUTT", 0x205),
    ],
    [("POLL_HW_FINISH", 0x300), ("POLL_BUTT", 0x302)],
    [
      ("RESET_SESSION", 0x400), ("TRANS_FD_TO_IOVA", 0x401), ("RELEASE_FD", 0x402), ("SEND_CODEC_INFO", 0x403),
      ("CONTROL_BUTT", 0x404),
    ],
  ]

  /// Writes the page.
  public static func write(to out: inout TextWriter) {
    out.text("------------- SUPPORT CMD -------------\n")
    for (index, group) in groups.enumerated() {
      if index > 0 { out.text("----\n") }
      for command in group {
        let start = out.count
        out.text(command.name)
        out.byte(0x3A)
        out.fill(0x20, 22 - (out.count - start))
        out.text("0x")
        out.hexadecimal(command.number, digits: 8)
        out.newline()
      }
    }
  }
}

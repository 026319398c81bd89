// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The pool of packets of `venc_info`: what waits for readers, and its limit.
@Suite(.ownThread) struct PacketPoolPageTests {
  @Test(arguments: [("rockit-1.4.32", "packet_pool", 128), ("rockit-1.4.81", "mpp_packet pool", 512)])
  func aReaderThatStallsFillsThePoolAndGivesWay(dialect: String, title: String, limit: Int) throws {
    let served = try Served(
      ["--dialect", dialect],
      configuration: """
        vi/0/input = pattern
        vi/0/width = 64
        vi/0/height = 64
        vi/0/fps = 240
        vi/0/enable = 1
        venc/0/codec = h264
        venc/0/gop = 24
        venc/0/bitrate = 100
        venc/0/source = vi/0
        venc/0/enable = 1

        """, ahead: true)
    func pool(_ column: String) throws -> Int? {
      let section = EncoderPage(try served.cat("venc_info")).sections.first { $0.title == title }
      return section.flatMap { section in section.rows.first.flatMap { Int(section.values($0)[column] ?? "") } }
    }
    #expect(try pool("used_cnt") == 0)
    // It opens the stream, reads a little and leaves off.
    let reader = try Child(
      [
        "sh", "-c", #"exec 3< "$1"; dd bs=10 count=1 <&3 > "$2" 2>> "$2"; exec sleep 1000"#, "sh",
        served.path("venc/0/stream"), served.scratch + "/read",
      ])
    #expect(try eventually { try served.stats("venc/0")["packet_pool_full"] ?? 0 > 0 })
    let (used, total) = (try #require(try pool("used_cnt")), try #require(try pool("total_cnt")))
    #expect(used > 0 && used <= limit && total == limit, "\(used) of \(total)")
    let failed = EncoderPage(try served.cat("venc_info")).value(0, "hw status", "pkt_fail_cnt")
    #expect(Int(failed ?? "") ?? 0 > 0)
    #expect(try served.stats("venc/0")["reader_lost_groups"] ?? 0 > 0)
    // Nothing else is lost for it.
    #expect(try served.stats("venc/0")["dropped_no_buffer"] ?? 0 == 0)
    reader.signal(SIGKILL)
    reader.ended()
    #expect(try eventually { try pool("used_cnt") == 0 })
    #expect(try pool("unused_cnt") == limit)
  }
}

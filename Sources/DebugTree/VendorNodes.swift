// SPDX-License-Identifier: Apache-2.0
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import SystemPackage

/// The vendor's nodes at the vendor's names.
extension DebugTree {
  func addVendorNodes() throws(NodeError) {
    let (reports, identity, dialect, runtime) = (reports, identity, dialect, runtime)
    let root = tree.root
    try root.add(
      "valloc",
      page {
        let (buffers, pools) = reports.allocations()
        VAllocPage.write(buffers: buffers, pools: pools, identity: identity, dialect: dialect, to: &$0)
      })
    try root.add(
      "vsys", page { VSysPage.write(nodes: reports.nodes(), identity: identity, dialect: dialect, to: &$0) })
    try root.add(
      "vrgn", page { VRgnPage.write(regions: reports.regions(), nodes: reports.nodes(), identity: identity, to: &$0) })
    try root.add(
      "vlog",
      Node.setting(
        render: rendering { VLogPage.write(runtime.moduleLog.records, dialect: dialect, to: &$0) },
        write: { request in
          do throws(MediaCore.Refusal) {
            try runtime.logCommand(request.bytes)
          } catch {
            throw NodeError(error)
          }
          request.reply.succeed()
        }))

    let encoderPage = page(capacity: 16384) { VEncInfoPage.write(reports.encoders(), dialect: dialect, to: &$0) }
    try root.add("venc_info", encoderPage)
    try root.add("vcodec", Directory().add("enc", Directory().add("venc_info", encoderPage)))

    try root.add(
      "rk_dmabuf",
      Directory()
        .add("size", page(capacity: 64) { DMABufPages.writeSize(reports.memory(), to: &$0) })
        .add("peak", peakNode()))
  }

  /// Only the first byte counts, as in the vendor's driver: `0` resets, anything else is EINVAL.
  private func peakNode() -> Node {
    let (reports, errorLog) = (reports, runtime.errorLog)
    return Node.setting(
      render: rendering(64) { DMABufPages.writePeak(reports.memory(), to: &$0) },
      write: { request in
        guard request.bytes.first == UInt8(ascii: "0") else {
          let refusal = MediaCore.Refusal(
            .invalidArgument, path: "rk_dmabuf/peak", value: request.bytes, reason: "the first byte is not 0",
            hint: "write 0 to reset the peak")
          errorLog.record(refusal)
          throw NodeError(refusal)
        }
        reports.resetMemoryPeak()
        request.reply.succeed()
      })
  }
}

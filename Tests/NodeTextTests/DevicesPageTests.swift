// SPDX-License-Identifier: Apache-2.0
import NodeText
import Reports
import TestSupport
import Testing

@Suite(.ownThread) struct DevicesPageTests {
  private func rendered(_ report: DevicesReport, _ objects: [ObjectState] = []) -> String {
    var out = TextWriter(capacity: 64)
    DevicesPage.write(report, objects: objects, to: &out)
    return out.withBytes { String(decoding: $0, as: UTF8.self) }
  }

  @Test func aMachineWithNothingSaysSo() {
    let page = rendered(DevicesReport(memoryChoice: "memfd (no dma-heap)"))
    #expect(
      page == """
        no V4L2 device and no display: inputs are files and the test pattern, engines are software
        memory
          heaps: none
          udmabuf: no
          pools: memfd (no dma-heap)

        """)
  }

  @Test func eachDeviceSaysWhatItIsAndWhoHasIt() {
    var encoder = VideoDeviceReport(path: "/dev/video1")
    encoder.role = "encoder (FWHT)"
    encoder.driver = "vicodec"
    encoder.card = "a\nb"
    encoder.bus = "platform:vicodec"
    encoder.formatsIn = ["NV12", "YU12"]
    encoder.formatsOut = ["FWHT"]
    encoder.memoryIn = "mmap dmabuf"
    encoder.isMultiplanar = true
    encoder.engine = "/dev/video1"
    func object(_ path: String, _ backend: String) -> ObjectState {
      ObjectState(
        path: path, kind: "venc", condition: .running, active: [KeyValue(key: "backend", value: backend)],
        statistics: ObjectStatistics(createdMicroseconds: 0, generation: 1))
    }
    let screen = ObjectState(
      path: "vo/1", kind: "vo", condition: .running,
      active: [KeyValue(key: "backend", value: "/dev/dri/card0"), KeyValue(key: "connector", value: "Virtual-1")],
      statistics: ObjectStatistics(createdMicroseconds: 0, generation: 1))
    let page = rendered(
      DevicesReport(
        videos: [encoder],
        cards: [
          CardReport(
            path: "/dev/dri/card0", driver: "vkms",
            connectors: [
              .init(
                name: "Virtual-1", isConnected: true, monitor: "LG\nUltra",
                modes: (0..<11).map { "1024x768@\(60 + $0).00" }),
              .init(name: "Virtual-2", isConnected: false),
            ])
        ],
        heaps: ["system"], hasUdmabuf: true, memoryChoice: "heap:system",
        refused: [KeyValue(key: "/dev/video9", value: "open: Permission denied")]),
      [
        object("venc/0", "/dev/video1"), object("venc/1", "openh264"), object("venc/2", "/dev/video1"),
        object("venc/3", "/dev/video10"), screen,
      ])
    #expect(
      page == """
        /dev/video1
          role: encoder (FWHT)
          driver: vicodec
          card: a\\nb
          bus: platform:vicodec
          formats_in: NV12 YU12
          formats_out: FWHT
          memory_in: mmap dmabuf
          memory_out: N/A
          planes: multi
          backend: /dev/video1
          used_by: venc/0 venc/2
        /dev/dri/card0
          role: display
          driver: vkms
          connectors: Virtual-1 connected, Virtual-2 disconnected
          Virtual-1: LG\\nUltra, 1024x768@60.00 1024x768@61.00 1024x768@62.00 1024x768@63.00 1024x768@64.00 \
        1024x768@65.00 1024x768@66.00 1024x768@67.00 and 3 more, in use by vo/1
          used_by: vo/1
        /dev/video9
          refused: open: Permission denied
        memory
          heaps: system
          udmabuf: yes
          pools: heap:system

        """)
  }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import TestSupport
import Testing

@testable import LinuxMedia

@Suite(.ownThread) struct KernelLayoutTests {
  // videodev2.h on 64-bit: what the ioctl numbers carry as size must be what Swift passes.
  @Test func structuresHaveTheSizesTheirIoctlNumbersName() {
    func size(_ request: UInt) -> Int { Int(request >> 16 & 0x3fff) }
    #expect(size(mpifs_VIDIOC_QUERYCAP) == MemoryLayout<v4l2_capability>.size)
    #expect(size(mpifs_VIDIOC_S_FMT) == MemoryLayout<v4l2_format>.size)
    #expect(size(mpifs_VIDIOC_QBUF) == MemoryLayout<v4l2_buffer>.size)
    #expect(size(mpifs_VIDIOC_REQBUFS) == MemoryLayout<v4l2_requestbuffers>.size)
    #expect(size(mpifs_VIDIOC_CREATE_BUFS) == MemoryLayout<v4l2_create_buffers>.size)
    #expect(size(mpifs_VIDIOC_EXPBUF) == MemoryLayout<v4l2_exportbuffer>.size)
    #expect(size(mpifs_VIDIOC_S_PARM) == MemoryLayout<v4l2_streamparm>.size)
    #expect(size(mpifs_VIDIOC_S_SELECTION) == MemoryLayout<v4l2_selection>.size)
    #expect(size(mpifs_VIDIOC_QUERY_EXT_CTRL) == MemoryLayout<v4l2_query_ext_ctrl>.size)
    #expect(size(mpifs_VIDIOC_S_EXT_CTRLS) == MemoryLayout<v4l2_ext_controls>.size)
    #expect(size(mpifs_VIDIOC_QUERYMENU) == MemoryLayout<v4l2_querymenu>.size)
    #expect(size(mpifs_VIDIOC_DQEVENT) == MemoryLayout<v4l2_event>.size)
    #expect(size(mpifs_VIDIOC_SUBSCRIBE_EVENT) == MemoryLayout<v4l2_event_subscription>.size)
    #expect(size(mpifs_VIDIOC_ENUM_FRAMESIZES) == MemoryLayout<v4l2_frmsizeenum>.size)
    #expect(size(mpifs_VIDIOC_ENUM_FRAMEINTERVALS) == MemoryLayout<v4l2_frmivalenum>.size)
    #expect(size(mpifs_UDMABUF_CREATE) == MemoryLayout<udmabuf_create>.size)
    #expect(size(mpifs_DMA_HEAP_IOCTL_ALLOC) == MemoryLayout<dma_heap_allocation_data>.size)
  }

  @Test(arguments: [BufferType.capture, .captureMultiplanar]) func aFormatComesBackAsItWent(type: BufferType) {
    var format = VideoFormat(
      type: type, fourcc: .nv12, width: 1920, height: 1080, planes: [.init(bytesPerLine: 1920, size: 3_110_400)])
    format.color.space = 3
    format.color.quantization = 2
    #expect(VideoFormat(format.kernelFormat, type: type) == format)
  }

  @Test func multiplanarFormatsKeepEveryPlane() {
    let format = VideoFormat(
      type: .outputMultiplanar, fourcc: .nv12M, width: 640, height: 360,
      planes: [.init(bytesPerLine: 640, size: 230_400), .init(bytesPerLine: 640, size: 115_200)])
    #expect(VideoFormat(format.kernelFormat, type: .outputMultiplanar) == format)
  }

  @Test(arguments: [UInt32(1), 9], [UInt32(1), 4]) func aBufferComesBackAsItWent(type: UInt32, memory: UInt32) {
    var buffer = mpifs_buffer()
    (buffer.type, buffer.memory, buffer.index, buffer.sequence) = (type, memory, 3, 77)
    (buffer.tv_sec, buffer.tv_usec) = (12, 345678)
    buffer.num_planes = type == 9 ? 2 : 1
    for plane in 0..<buffer.num_planes {
      mpifs_buffer_set_plane(
        &buffer, plane,
        mpifs_plane(
          bytesused: 100 + plane, length: 4096, data_offset: type == 9 ? 16 : 0,
          mem_offset: memory == 1 ? 0x4000_0000 + plane : 0, fd: memory == 4 ? 20 + CInt(plane) : -1))
    }
    var kernel = v4l2_buffer()
    var planes = [v4l2_plane](repeating: v4l2_plane(), count: 8)
    var back = mpifs_buffer()
    planes.withUnsafeMutableBufferPointer {
      mpifs_buffer_to_kernel(&buffer, &kernel, $0.baseAddress)
      mpifs_buffer_from_kernel(&kernel, &back)
    }
    #expect(back.index == 3 && back.sequence == 77 && back.tv_sec == 12 && back.tv_usec == 345678)
    #expect(back.num_planes == buffer.num_planes)
    for plane in 0..<buffer.num_planes {
      let (a, b) = (mpifs_buffer_plane(&buffer, plane), mpifs_buffer_plane(&back, plane))
      #expect(a.bytesused == b.bytesused && a.length == b.length && a.data_offset == b.data_offset)
      #expect(a.mem_offset == b.mem_offset && a.fd == b.fd)
    }
  }

  @Test func intervalsGoToTheSideOfTheUnionTheirQueueReads() {
    for type: UInt32 in [1, 2, 9, 10] {
      var parameters = v4l2_streamparm()
      mpifs_interval_to_kernel(type, mpifs_interval(capability: 0, numerator: 1001, denominator: 30000), &parameters)
      let back = mpifs_interval_from_kernel(&parameters)
      #expect(back.numerator == 1001 && back.denominator == 30000)
    }
  }
}

@Suite(.ownThread) struct ControlNameTests {
  private func key(_ name: String) -> String {
    ControlDescription(
      id: 1, name: name, kind: .integer, flags: [], minimum: 0, maximum: 1, step: 1, defaultValue: 0, menu: []
    ).key
  }

  @Test func areFileNamesAsTheUsualToolPrintsThem() {
    #expect(key("Brightness") == "brightness")
    #expect(key("Inject V4L2_BUF_FLAG_ERROR") == "inject_v4l2_buf_flag_error")
    #expect(key("Auto Exposure, Manual Mode (UVC)") == "auto_exposure_manual_mode_uvc")
    #expect(key("../../etc") == "etc")
  }
}

@Suite(.ownThread) struct RoleTests {
  private func formats(_ list: [(FourCC, Bool)]) -> [FormatDescription] {
    list.map { FormatDescription(fourcc: $0.0, flags: $0.1 ? .compressed : [], description: "") }
  }
  private let m2m: V4L2Capability.Flags = [.memoryToMemory, .streaming]

  @Test func followFromTheFormatsOfBothQueues() {
    func role(capture: [(FourCC, Bool)], output: [(FourCC, Bool)]) -> VideoRole {
      .classify(m2m, memoryToMemory: true, capture: formats(capture), output: formats(output))
    }
    #expect(role(capture: [(.h264, true), (.hevc, true)], output: [(.nv12, false)]) == .encoder([.h264, .hevc]))
    #expect(role(capture: [(.nv12, false)], output: [(.h264, true)]) == .decoder([.h264]))
    #expect(role(capture: [(.nv12, false)], output: [(.yuyv, false)]) == .scaler)
    let sliced = FourCC(rawValue: 0x3436_3253)  // S264
    #expect(role(capture: [(.nv12, false)], output: [(sliced, true)]) == .statelessDecoder([sliced]))
  }

  @Test func aNodeThatCannotStreamOrOffersNothingIsNothing() {
    let some = formats([(.nv12, false)])
    #expect(VideoRole.classify([.capture, .streaming], memoryToMemory: false, capture: some, output: []) == .capture)
    #expect(VideoRole.classify([.capture], memoryToMemory: false, capture: some, output: []) == .other)
    // The second node of a UVC camera: metadata only.
    #expect(
      VideoRole.classify([.metadataCapture, .streaming], memoryToMemory: false, capture: [], output: []) == .other)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import LinuxMedia

/// A program that leaks on purpose: makes buffers, says so in one line, and keeps them until it is killed.
///
/// `guest-devices hold KIND COUNT [BYTES]`. Kinds: `heap` and `udmabuf` keep descriptors, `mapped` only a mapping, `vivid` those the
/// camera's driver exports, `vkms` those of a DRM card, `kernel` nothing at all: the card's driver has them imported.
final class Leaking {
  private var descriptors: [CInt] = []
  private var framebuffers: [Framebuffer] = []
  private var queues: [VideoQueue] = []
  private let camera: String
  private let card: String

  init(camera: String, card: String) {
    self.camera = camera
    self.card = card
  }

  func run(_ arguments: [String]) -> Never {
    do {
      guard arguments.count >= 2, let count = Int(arguments[1]) else { throw Problem("hold KIND COUNT [BYTES]") }
      let size = arguments.count > 2 ? Int(arguments[2]) ?? 4096 : 65536
      try make(arguments[0], count, size)
    } catch {
      print("hold: \(error)")
      exit(1)
    }
    print("holding \(arguments[1]) of \(arguments[0])")
    fflush(nil)
    while true { pause() }
  }

  private struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text }
  }

  private func make(_ kind: String, _ count: Int, _ size: Int) throws {
    switch kind {
    case "heap": for _ in 0..<count { descriptors.append(try heapBuffer(size)) }
    case "udmabuf":
      let maker = try Udmabuf()
      for _ in 0..<count { descriptors.append(kept(try maker.allocate(size: size, name: "leak"))) }
    case "mapped":
      for _ in 0..<count {
        let fd = try heapBuffer(size)
        guard mmap(nil, size, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED else { throw Problem("mmap: \(errno)") }
        close(fd)
      }
    case "vivid": try exportFromCamera(count)
    case "vkms":
      let card = try DRMCard(card)
      for _ in 0..<count {
        let buffer = try card.dumbBuffer(width: 128, lines: 64, bitsPerPixel: 32)
        descriptors.append(kept(buffer.take()))
      }
    case "kernel":
      let card = try DRMCard(card)
      for _ in 0..<count {
        let fd = try heapBuffer(128 * 64 * 4)
        let plane = FramebufferLayout.Plane(descriptor: fd, pitch: 128 * 4, offset: 0)
        framebuffers.append(
          try card.framebuffer(FramebufferLayout(width: 128, height: 64, format: 0x3432_5258, planes: [plane])))
        close(fd)
      }
    default: throw Problem("no kind \(kind)")
    }
  }

  private func heapBuffer(_ size: Int) throws -> CInt {
    let fd = kept(try DMAHeap("system").allocate(size: size))
    try DMABuf.setName(fd, "leak")
    return fd
  }

  private func exportFromCamera(_ count: Int) throws {
    let device = try V4L2Device(camera)
    guard let type = device.captureType else { throw Problem("\(camera) is no camera") }
    let queue = VideoQueue(device, type, memory: .mmap)
    let made = try queue.request(count)
    for index in 0..<made {
      for plane in 0..<(try queue.query(index).planeCount) {
        descriptors.append(kept(try queue.export(index, plane: plane)))
      }
    }
    queues.append(queue)
  }

  /// A descriptor nobody closes.
  private func kept(_ descriptor: consuming Descriptor) -> CInt {
    let copy = dup(descriptor.raw)
    return copy
  }
}

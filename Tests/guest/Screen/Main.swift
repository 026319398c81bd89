// SPDX-License-Identifier: Apache-2.0
import CDRM
import Glibc

// Runs in the guest, beside the program and without its code: says what a screen shows.
//
//   guest-screen crc WIDTH HEIGHT FILE,W,H,X,Y...   what vkms counts (debugfs: crtc-0/crc/data) when it shows these
//                                                   pictures (raw XR24 files) on black, the last one on top
//   guest-screen grab CARD FILE                     writes what the topmost plane scans out as raw XR24, and prints
//                                                   `plane ID WxH` for every plane that shows something
//   guest-screen compose FILE WIDTH HEIGHT FILE,W,H,X,Y...    writes these pictures on black as raw XR24
//   guest-screen psnr FILE FILE                     how alike two raw XR24 pictures are, in whole dB; 99 when equal

func fail(_ text: String) -> Never {
  let line = Array("guest-screen: \(text)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
  exit(1)
}

func contents(_ path: String) -> [UInt8] {
  guard let file = fopen(path, "r") else { fail("cannot open \(path)") }
  defer { fclose(file) }
  fseek(file, 0, SEEK_END)
  var bytes = [UInt8](repeating: 0, count: ftell(file))
  rewind(file)
  guard fread(&bytes, 1, bytes.count, file) == bytes.count else { fail("cannot read \(path)") }
  return bytes
}

struct Layer {
  let pixels: [UInt8]
  let width: Int
  let height: Int
  let x: Int
  let y: Int

  init(_ text: String) {
    let parts = text.split(separator: ",")
    let numbers = parts.dropFirst().compactMap { Int($0) }
    guard let name = parts.first, numbers.count == 4 else { fail("\(text) is not FILE,W,H,X,Y") }
    (width, height, x, y) = (numbers[0], numbers[1], numbers[2], numbers[3])
    pixels = contents(String(name))
    guard pixels.count >= width * height * 4 else { fail("\(name) is smaller than \(width)x\(height)") }
  }
}

/// The pictures on black, as raw XR24.
func composed(width: Int, height: Int, _ layers: [Layer]) -> [UInt8] {
  var pixels = [UInt8](repeating: 0, count: width * height * 4)
  for layer in layers {
    for row in 0..<layer.height where (0..<height).contains(row + layer.y) {
      for column in 0..<layer.width where (0..<width).contains(column + layer.x) {
        let from = (row * layer.width + column) * 4
        let to = ((row + layer.y) * width + column + layer.x) * 4
        for channel in 0..<3 { pixels[to + channel] = layer.pixels[from + channel] }
      }
    }
  }
  return pixels
}

/// The kernel's `crc32_le` without the inversions, over lines of 16-bit A, R, G, B as vkms composes them
/// (drivers/gpu/drm/vkms/vkms_composer.c).
func checksum(_ pixels: [UInt8]) -> UInt32 {
  let table: [UInt32] = (0..<256).map { index in
    var value = UInt32(index)
    for _ in 0..<8 { value = value & 1 != 0 ? (value >> 1) ^ 0xedb8_8320 : value >> 1 }
    return value
  }
  var crc: UInt32 = 0
  func add(_ byte: UInt8) { crc = (crc >> 8) ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] }
  for place in stride(from: 0, to: pixels.count, by: 4) {
    // An 8-bit channel becomes 16 bits by standing there twice.
    for channel in [0xff, pixels[place + 2], pixels[place + 1], pixels[place]] {
      add(channel)
      add(channel)
    }
  }
  return crc
}

func grab(_ card: String, to path: String) {
  let fd = open(card, O_RDWR | O_CLOEXEC)
  guard fd >= 0 else { fail("cannot open \(card)") }
  drmDropMaster(fd)
  drmSetClientCap(fd, UInt64(DRM_CLIENT_CAP_UNIVERSAL_PLANES), 1)
  guard let planes = drmModeGetPlaneResources(fd) else { fail("\(card) has no planes") }
  var top: UnsafeMutablePointer<drmModeFB2>?
  for index in 0..<Int(planes.pointee.count_planes) {
    guard let plane = drmModeGetPlane(fd, planes.pointee.planes[index]), plane.pointee.fb_id != 0,
      let picture = drmModeGetFB2(fd, plane.pointee.fb_id)
    else { continue }
    print("plane \(plane.pointee.plane_id) \(picture.pointee.width)x\(picture.pointee.height)")
    top = picture
  }
  guard let picture = top?.pointee else { fail("\(card) shows nothing") }
  guard picture.pixel_format == 0x3432_5258 else { fail("the picture is not XR24") }
  let (handle, pitch, offset) = (picture.handles.0, Int(picture.pitches.0), Int(picture.offsets.0))
  guard handle != 0 else { fail("no handle: not root?") }
  let size = offset + pitch * Int(picture.height)
  var descriptor: CInt = -1
  var memory: UnsafeMutableRawPointer?
  if drmPrimeHandleToFD(fd, handle, UInt32(DRM_RDWR | DRM_CLOEXEC), &descriptor) == 0 {
    memory = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0)
  }
  guard let memory, memory != MAP_FAILED else { fail("cannot map the picture") }
  guard let file = fopen(path, "w") else { fail("cannot write \(path)") }
  for line in 0..<Int(picture.height) { fwrite(memory + offset + line * pitch, 4, Int(picture.width), file) }
  fclose(file)
}

func likeness(_ a: [UInt8], _ b: [UInt8]) -> Int {
  guard a.count == b.count, !a.isEmpty else { fail("\(a.count) and \(b.count) bytes") }
  var sum = 0
  // Every fourth byte is the one nobody sees.
  for index in a.indices where index % 4 != 3 {
    let difference = Int(a[index]) - Int(b[index])
    sum += difference * difference
  }
  if sum == 0 { return 99 }
  return Int(10 * log10(255 * 255 * Double(a.count / 4 * 3) / Double(sum)))
}

func screen(_ arguments: ArraySlice<String>) -> [UInt8] {
  let sides = arguments.prefix(2).compactMap { Int($0) }
  guard sides.count == 2 else { fail("not a size") }
  return composed(width: sides[0], height: sides[1], arguments.dropFirst(2).map { Layer($0) })
}

let arguments = CommandLine.arguments
switch arguments.dropFirst().first {
case "crc" where arguments.count >= 4:
  let digits = String(checksum(screen(arguments[2...])), radix: 16)
  print("0x" + String(repeating: "0", count: 8 - digits.count) + digits)
case "compose" where arguments.count >= 5:
  let pixels = screen(arguments[3...])
  guard let file = fopen(arguments[2], "w") else { fail("cannot write \(arguments[2])") }
  fwrite(pixels, 1, pixels.count, file)
  fclose(file)
case "grab" where arguments.count == 4: grab(arguments[2], to: arguments[3])
case "psnr" where arguments.count == 4: print(likeness(contents(arguments[2]), contents(arguments[3])))
default: fail("crc, compose, grab or psnr")
}

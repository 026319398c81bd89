// SPDX-License-Identifier: Apache-2.0
import Devices
import Glibc
import LinuxMedia
import MediaCore

/// Every allocator against its real exporter: size, name, exporter, references as the kernel tells them, and that the
/// CPU reads back through one mapping what it wrote through another.
func memoryScenario(_ checks: Checks) {
  checks.section("memory")
  let heaps = AllocatorPolicy.heaps()
  checks.expect(heaps.contains("system"), "the system heap is there", heaps.joined(separator: " "))
  var allocators: [any Allocator] = heaps.map { HeapAllocator(heap: $0) }
  allocators += [UdmabufAllocator(), MemfdAllocator()] as [any Allocator]
  for allocator in allocators {
    let before = kernelDMABufTotal()
    _ = checks.run("allocate from \(allocator.name)") {
      let memory = try allocator.allocate(size: 100_000, label: "test0-7")
      checks.expect("\(allocator.name): whole pages", memory.size, is: 102_400)
      checks.expect("\(allocator.name): is a DMA-BUF", memory.isDMABuf, is: allocator.name != "memfd")
      if memory.isDMABuf {
        let info = try DescriptorInfo(of: memory.fileDescriptor)
        checks.expect("\(allocator.name): named", info.name ?? "", is: "test0-7")
        checks.expect("\(allocator.name): the kernel's size", info.size, is: memory.size)
        checks.expect("\(allocator.name): exporter", memory.exporter, is: info.exporter ?? "-")
        checks.expect("\(allocator.name): inode", memory.inode, is: info.inode ?? 0)
        checks.expect("\(allocator.name): one reference", memory.kernelReferenceCount(), is: 1)
        let second = dup(memory.fileDescriptor)
        checks.expect("\(allocator.name): a second descriptor", memory.kernelReferenceCount(), is: 2)
        close(second)
        _ = try memory.map()
        checks.expect("\(allocator.name): its mapping is another reference", memory.kernelReferenceCount(), is: 2)
      }
      if allocator.name == "udmabuf" {
        let ranges = memory.physicalRanges ?? []
        checks.expect("\(allocator.name): where it lies is all of it", ranges.reduce(0) { $0 + $1.length }, is: 102_400)
        let pages = ranges.flatMap { stride(from: $0.start, through: $0.last, by: 4096) }
        checks.expect("\(allocator.name): and no page twice", Set(pages).count, is: 25)
      }
      try memory.beginCPUAccess(write: true)
      let address = try memory.map()
      for offset in stride(from: 0, to: memory.size, by: 4) {
        address.storeBytes(
          of: UInt32(truncatingIfNeeded: offset &* 2_654_435_761), toByteOffset: offset, as: UInt32.self)
      }
      try memory.endCPUAccess(write: true)
      let other = try Mapping(memory.fileDescriptor, size: memory.size, writable: false, subject: "test")
      var wrong = 0
      for offset in stride(from: 0, to: memory.size, by: 4)
      where other.address.load(fromByteOffset: offset, as: UInt32.self)
        != UInt32(truncatingIfNeeded: offset &* 2_654_435_761)
      {
        wrong += 1
      }
      checks.expect("\(allocator.name): what was written is read", wrong, is: 0)
    }
    checks.expect("\(allocator.name): nothing is left behind", kernelDMABufTotal(), is: before)
  }
  let policy = AllocatorPolicy()
  checks.expect("the policy takes the system heap", policy.allocator.name, is: "heap:system")
  print("      \(policy.reason)")
  let contiguous = AllocatorPolicy(contiguous: true)
  // Not every kernel is made with one: Debian's own is not.
  let options = contents("/vm/config").split(separator: "\n")
  checks.expect(options.contains("CONFIG_DMA_SHARED_BUFFER=y"), "how the kernel was made is known")
  let hasContiguous = options.contains("CONFIG_DMABUF_HEAPS_CMA=y")
  checks.expect("a contiguous heap is there if the kernel was made with it", heaps.count > 1, is: hasContiguous)
  checks.expect(
    (contiguous.allocator.name != "heap:system") == hasContiguous,
    "for importers without an IOMMU a contiguous heap where there is one", contiguous.reason)
  let missing = HeapAllocator(heap: "none-such")
  do {
    _ = try missing.allocate(size: 4096, label: "x")
    checks.expect(false, "a heap that is not there gives nothing")
  } catch {
    checks.expect(error.errno == .noSuchFileOrDirectory, "a heap that is not there says so", "\(error)")
  }
}

/// What this machine has, as the runtime sees it.
func inventoryScenario(_ checks: Checks, camera: String, encoder: String, decoder: String, scaler: String, card: String)
{
  checks.section("inventory")
  let inventory = DeviceInventory()
  for video in inventory.videos {
    print(
      "      \(video.path): \(video.card), \(video.driver), \(video.role)\(video.isMultiplanar ? ", multi-planar" : "")"
    )
  }
  for card in inventory.cards {
    print("      \(card.path): \(card.driver) \(card.connectors.map { "\($0.name)\($0.isConnected ? "+" : "-")" })")
  }
  func role(_ path: String) -> VideoRole? { inventory.videos.first { $0.path == path }?.role }
  let fwht = FourCC.fwht
  checks.expect("camera", role(camera), is: .capture)
  checks.expect("encoder", role(encoder), is: .encoder([fwht]))
  checks.expect("decoder", role(decoder), is: .decoder([fwht]))
  checks.expect("scaler", role(scaler), is: .scaler)
  checks.expect("the first camera is the default input", inventory.firstCamera(), is: camera)
  checks.expect("udmabuf", inventory.hasUdmabuf, is: true)
  let display = inventory.cards.first { $0.path == card }
  checks.expect(display?.driver == "vkms" && display?.connectors.isEmpty == false, "a display with a connector")
}

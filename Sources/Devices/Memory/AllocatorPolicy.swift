// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import LinuxMedia
public import MediaCore

/// Which memory the pools of this machine get, and why.
///
/// Each candidate is tried by really allocating a page, best first: the system heap, udmabuf, memfd; before them, when
/// a device without an IOMMU is to import the buffers, a heap of contiguous memory (it is scarce, so never otherwise).
/// A node that exists but refuses (vendor heaps are often readable by root only) is passed over and named.
public struct AllocatorPolicy: Sendable {
  public let allocator: any Allocator
  /// For the node: what was chosen and why the better ones were not.
  public let reason: String

  public init(
    contiguous: Bool = false, kernel: any Kernel = LinuxKernel(), heaps: [String] = AllocatorPolicy.heaps()
  ) {
    let ranked = AllocatorPolicy.ranked(heaps, contiguous: contiguous)
    var candidates: [any Allocator] = ranked.map { HeapAllocator(heap: $0, kernel: kernel) }
    candidates.append(UdmabufAllocator(kernel: kernel))
    self.init(choosingFrom: candidates, last: MemfdAllocator(kernel: kernel), noHeaps: heaps.isEmpty)
  }

  init(choosingFrom candidates: [any Allocator], last: any Allocator, noHeaps: Bool) {
    var refused = noHeaps ? ["no dma-heap"] : []
    for candidate in candidates {
      do throws(Failure) {
        _ = try candidate.allocate(size: 4096, label: "probe")
        allocator = candidate
        reason = AllocatorPolicy.sentence(candidate.name, refused)
        return
      } catch {
        refused.append("\(candidate.name): \(error.errno)")
      }
    }
    allocator = last
    reason = AllocatorPolicy.sentence(last.name, refused)
  }

  private static func sentence(_ name: String, _ refused: [String]) -> String {
    refused.isEmpty ? "\(name): best this machine has" : "\(name) (\(refused.joined(separator: "; ")))"
  }

  /// The allocator of that name, as `vb/N/heap` takes it: `memfd`, `udmabuf`, `heap:NAME` or `NAME`.
  public static func allocator(named name: String, kernel: any Kernel = LinuxKernel()) -> any Allocator {
    switch name {
    case "memfd": MemfdAllocator(kernel: kernel)
    case "udmabuf": UdmabufAllocator(kernel: kernel)
    default: HeapAllocator(heap: name.hasPrefix("heap:") ? String(name.dropFirst(5)) : name, kernel: kernel)
    }
  }

  /// Names of the heaps this machine has, in order of name.
  public static func heaps(in directory: String = DMAHeap.directory) -> [String] {
    listDirectory(directory).sorted()
  }

  /// Heaps made for secure or uncached use are never chosen unasked.
  static func ranked(_ heaps: [String], contiguous: Bool) -> [String] {
    let first = contiguous ? heaps.filter { isContiguous($0) && !isSpecial($0) } : []
    return first + heaps.filter { $0 == "system" }
  }

  private static func isContiguous(_ heap: String) -> Bool {
    // Mainline's is `linux,cma`, `reserved` or the node's own name before 6.16, `default_cma_region` from then on.
    ["cma", "reserved", "dma"].contains { heap.contains($0) } && !heap.hasPrefix("system")
  }

  private static func isSpecial(_ heap: String) -> Bool {
    ["uncached", "secure", "restricted", "protected"].contains { heap.contains($0) }
  }
}

/// Names in a directory without `.` and `..`; empty when it cannot be read.
func listDirectory(_ path: String) -> [String] {
  guard let directory = opendir(path) else { return [] }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
      tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != "." && name != ".." { names.append(name) }
  }
  return names
}

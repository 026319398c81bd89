// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Reports

/// Puts together what the kernel's list and the processes tell, each buffer once. Keeps what it knows of each from look to
/// look, so that one in which nothing has changed makes little anew.
final class Gathering {
  private struct Known {
    let inode: UInt64
    /// Of the look in which a process last had it, as are size, reach and descriptors.
    var look: UInt64 = 0
    var size: UInt64 = 0
    /// Only mappings are known of it.
    var isLowerBound = true
    /// Bytes that are mapped of it at least.
    var reach: UInt64 = 0
    var isMappedBeyond = false
    var descriptors = 0
    /// The look in which a descriptor last told of it, and what it told.
    var toldLook: UInt64 = 0
    var references: Int?
    var exporter: String?
    var name: String?
    /// Who holds it; so many of them are found again in this look.
    var holders: [MemoryScan.Holder] = []
    var matched = 0

    mutating func add(_ holder: MemoryScan.Holder) {
      if matched < holders.count, holders[matched] != holder { holders.removeSubrange(matched...) }
      if matched == holders.count { holders.append(holder) }
      matched += 1
    }
  }

  /// The kernel's list before processes were looked at, and after, by inode, the newest first.
  private var first: [MemoryScan.Buffer]?
  private var last: [MemoryScan.Buffer]?
  private var look: UInt64 = 0
  private var buffers: [Known] = []
  private var places: [UInt64: Int] = [:]
  private var order: [UInt64] = []
  private let filesystem = BufferFilesystem()
  /// Of buffers that processes have and the list has not: those of this look and of the one before.
  private var strays: [UInt64] = []
  private var straysBefore: [UInt64] = []
  private let texts: TextStore

  init(_ texts: TextStore) { self.texts = texts }

  func begin() {
    look += 1
    (first, last) = (nil, nil)
  }

  /// - Parameter isAtTheEnd: processes have been looked at, or will not be.
  func take(_ list: [MemoryScan.Buffer]?, isAtTheEnd: Bool, _ scan: inout MemoryScan) {
    guard var list else { return }
    Self.putInOrder(&list, &scan)
    if isAtTheEnd { last = list } else { first = list }
  }

  /// By inode, the newest first, each once.
  private static func putInOrder(_ list: inout [MemoryScan.Buffer], _ scan: inout MemoryScan) {
    if zip(list, list.dropFirst()).allSatisfy({ $0.inode > $1.inode }) { return }
    list.sort { $0.inode > $1.inode }
    var kept = 0
    for index in list.indices.dropFirst() {
      if list[index].inode == list[kept].inode {
        scan.disagreements += 1
      } else {
        kept += 1
        list[kept] = list[index]
      }
    }
    if kept + 1 < list.count { list.removeSubrange((kept + 1)...) }
  }

  private static func place(of inode: UInt64, in list: [MemoryScan.Buffer]) -> Int? {
    var (low, high) = (0, list.count)
    while low < high {
      let middle = (low + high) / 2
      if list[middle].inode > inode { low = middle + 1 } else { high = middle }
    }
    return low < list.count && list[low].inode == inode ? low : nil
  }

  // MARK: what processes tell

  /// What a descriptor says of its buffer.
  func tell(_ inode: UInt64, _ fields: DescriptorFields) {
    let place = place(of: inode)
    buffers[place].references = fields.references
    // One that is new under an old number has all of it anew.
    if let exporter = fields.exporter { texts.set(&buffers[place].exporter, to: exporter) }
    if let name = fields.name { texts.set(&buffers[place].name, to: name) } else { buffers[place].name = nil }
    buffers[place].toldLook = look
  }

  /// The filesystem of a buffer of this program's own: that of all.
  func learn(device: UInt64) { filesystem.own = device }

  private func place(of inode: UInt64) -> Int {
    if let there = places[inode] { return there }
    places[inode] = buffers.count
    buffers.append(Known(inode: inode))
    return buffers.count - 1
  }

  /// The same, with nothing left of the look before.
  private func freshPlace(of inode: UInt64) -> Int {
    let place = place(of: inode)
    guard buffers[place].look != look else { return place }
    buffers[place].look = look
    (buffers[place].size, buffers[place].isLowerBound) = (0, true)
    (buffers[place].reach, buffers[place].isMappedBeyond) = (0, false)
    (buffers[place].descriptors, buffers[place].matched) = (0, 0)
    return place
  }

  func addDescriptors(of processes: [KnownProcess], _ scan: inout MemoryScan) {
    for process in processes {
      for held in process.held {
        let place = freshPlace(of: held.inode)
        if !buffers[place].isLowerBound, buffers[place].size != held.size { scan.disagreements += 1 }
        buffers[place].size = max(buffers[place].size, held.size)
        buffers[place].isLowerBound = false
        buffers[place].descriptors += held.descriptors
      }
    }
  }

  /// Somebody holds a buffer otherwise than by a descriptor. Without a list of references nobody knows.
  var hasUnexplainedReferences: Bool {
    guard let first, !first.isEmpty else { return first == nil }
    return first.contains { buffer in
      guard let references = buffer.references else { return true }
      guard let place = places[buffer.inode], buffers[place].look == look else { return references > 0 }
      return buffers[place].descriptors < references
    }
  }

  /// - Parameter mounted: the filesystems that are mounted, of which that of the buffers is none.
  func addMappings(of processes: [KnownProcess], _ scan: inout MemoryScan, mounted: () -> [UInt64]) {
    filesystem.choose(processes, &scan, mounted: mounted) { mapped in
      if let place = places[mapped.inode], buffers[place].look == look, !buffers[place].isLowerBound {
        return mapped.fits(buffers[place].size)
      }
      guard let first, let place = Self.place(of: mapped.inode, in: first) else { return false }
      return mapped.fits(first[place].size)
    }
    for process in processes {
      for mapped in process.mapped {
        guard filesystem.has(mapped) else {
          scan.strangeMappings += mapped.mappings
          continue
        }
        let place = freshPlace(of: mapped.inode)
        buffers[place].reach = max(buffers[place].reach, mapped.reach)
        if !buffers[place].isLowerBound, !mapped.fits(buffers[place].size) { buffers[place].isMappedBeyond = true }
        guard buffers[place].exporter == nil || buffers[place].name == nil else { continue }
        buffers[place].name = mapped.name ?? buffers[place].name
      }
    }
  }

  /// Whether a mapping is one of a DMA-BUF.
  func counts(_ mapped: MappedBuffer) -> Bool { filesystem.has(mapped) }

  // MARK: the whole

  /// - Parameter hasMappings: mappings were looked at as well.
  func finish(_ processes: [KnownProcess], hasMappings: Bool, _ scan: inout MemoryScan) {
    if scan.depth == .holders { place(processes, hasMappings: hasMappings) }
    if var list = last {
      last = nil
      for index in list.indices { complete(&list[index], &scan) }
      if scan.depth == .holders { noteStrays(beside: list, &scan) }
      scan.buffers = list
    } else {
      order.removeAll(keepingCapacity: true)
      for buffer in buffers where buffer.look == look { order.append(buffer.inode) }
      order.sort()
      scan.buffers.reserveCapacity(order.count)
      for inode in order.reversed() { if let buffer = held(inode, &scan) { scan.buffers.append(buffer) } }
    }
    first = nil
    addUp(&scan)
    if scan.depth == .holders { forgetOthers() }
  }

  /// Who holds what, process by process.
  private func place(_ processes: [KnownProcess], hasMappings: Bool) {
    for process in processes {
      var (held, mapped) = (0, hasMappings ? 0 : process.mapped.count)
      while true {
        while mapped < process.mapped.count, !filesystem.has(process.mapped[mapped]) { mapped += 1 }
        let ofHeld = held < process.held.count ? process.held[held].inode : nil
        let ofMapped = mapped < process.mapped.count ? process.mapped[mapped].inode : nil
        guard let inode = ofHeld.map({ min($0, ofMapped ?? $0) }) ?? ofMapped else { break }
        var holder = MemoryScan.Holder(process: process.id, descriptors: 0, mappings: 0)
        while held < process.held.count, process.held[held].inode == inode {
          holder.descriptors += process.held[held].descriptors
          held += 1
        }
        while mapped < process.mapped.count, process.mapped[mapped].inode == inode {
          if filesystem.has(process.mapped[mapped]) { holder.mappings += process.mapped[mapped].mappings }
          mapped += 1
        }
        if let place = places[inode] { buffers[place].add(holder) }
      }
    }
  }

  /// Puts into a buffer of the list what processes tell of it.
  private func complete(_ buffer: inout MemoryScan.Buffer, _ scan: inout MemoryScan) {
    guard scan.depth == .holders, let place = places[buffer.inode], buffers[place].look == look else {
      buffer.isUnplaced = scan.depth < .holders || first.map { Self.place(of: buffer.inode, in: $0) == nil } ?? false
      return
    }
    endHolders(of: place)
    let known = buffers[place]
    if known.isLowerBound ? isBeyond(known.reach, buffer.size) : known.size != buffer.size || known.isMappedBeyond {
      scan.disagreements += 1
    }
    buffer.holders = known.holders
    buffer.references = buffer.references ?? known.references
    // A descriptor tells the whole of a name with line feeds, and sysfs none. One from before may be old.
    guard known.toldLook != look, let listed = buffer.name else {
      buffer.name = known.name ?? buffer.name
      return
    }
    if let name = known.name, name.hasPrefix(listed + "\n") { buffer.name = name }
  }

  private func isBeyond(_ reach: UInt64, _ size: UInt64) -> Bool {
    reach > size && reach - size >= UInt64(max(1, getpagesize()))
  }

  /// What is not in the other list is mostly no more; what is not in it in two looks running is something the kernel's list does
  /// not tell, and is not counted: a look without processes would not count it either.
  private func noteStrays(beside list: [MemoryScan.Buffer], _ scan: inout MemoryScan) {
    swap(&strays, &straysBefore)
    strays.removeAll(keepingCapacity: true)
    for known in buffers where known.look == look && Self.place(of: known.inode, in: list) == nil {
      strays.append(known.inode)
    }
    for inode in strays where straysBefore.contains(inode) { scan.disagreements += 1 }
  }

  /// A buffer as only processes tell of it.
  private func held(_ inode: UInt64, _ scan: inout MemoryScan) -> MemoryScan.Buffer? {
    guard let place = places[inode] else { return nil }
    endHolders(of: place)
    let known = buffers[place]
    var buffer = MemoryScan.Buffer(inode: inode, size: known.isLowerBound ? known.reach : known.size)
    (buffer.isLowerBound, buffer.exporter, buffer.name) = (known.isLowerBound, known.exporter, known.name)
    buffer.references = known.toldLook == look ? known.references : nil
    buffer.holders = known.holders
    if known.isMappedBeyond { scan.disagreements += 1 }
    return buffer
  }

  private func endHolders(of place: Int) {
    let (matched, count) = (buffers[place].matched, buffers[place].holders.count)
    if matched < count { buffers[place].holders.removeSubrange(matched...) }
  }

  private func addUp(_ scan: inout MemoryScan) {
    var total: UInt64 = 0
    for buffer in scan.buffers {
      let (sum, isTooLarge) = total.addingReportingOverflow(buffer.size)
      total = isTooLarge ? .max : sum
      if isTooLarge { scan.disagreements += 1 }
    }
    if let kernel = scan.kernelBytes, kernel != total { scan.disagreements += 1 }
    scan.bytes = total
  }

  /// Of what no process had in this look nothing is kept.
  private func forgetOthers() {
    var index = buffers.count
    while index > 0 {
      index -= 1
      guard buffers[index].look != look else { continue }
      places[buffers[index].inode] = nil
      let end = buffers.removeLast()
      if index < buffers.count {
        buffers[index] = end
        places[end.inode] = index
      }
    }
  }
}

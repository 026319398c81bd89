// SPDX-License-Identifier: Apache-2.0
internal import Reports

/// Puts together what the kernel's list and the processes tell, each buffer once.
struct Gathering {
  /// The kernel's list before processes were looked at, and after.
  var first: [MemoryScan.Buffer]? { didSet { noteReferences() } }
  var last: [MemoryScan.Buffer]?
  private var held: [MemoryScan.Buffer] = []
  private var places: [UInt64: Int] = [:]
  /// Descriptors that were seen of each, and how many references the list says there are.
  private var wanted: [UInt64: Int] = [:]

  private mutating func noteReferences() {
    wanted.removeAll(keepingCapacity: true)
    for buffer in first ?? [] { if let references = buffer.references { wanted[buffer.inode] = references } }
  }

  /// Somebody holds a buffer otherwise than by a descriptor. Without a list of references nobody knows.
  var hasUnexplainedReferences: Bool {
    guard let first, !first.isEmpty else { return first == nil }
    return first.contains { buffer in
      guard let references = wanted[buffer.inode] else { return true }
      guard let place = places[buffer.inode] else { return references > 0 }
      return held[place].holders.reduce(0) { $0 + $1.descriptors } < references
    }
  }

  mutating func add(_ found: ProcessWalk.Found, _ scan: inout MemoryScan) {
    let place: Int
    if let there = places[found.inode] {
      place = there
    } else {
      place = held.count
      places[found.inode] = place
      var buffer = MemoryScan.Buffer(inode: found.inode, size: 0)
      buffer.isLowerBound = true
      held.append(buffer)
    }
    if found.isMapping {
      if held[place].isLowerBound { held[place].size = max(held[place].size, found.size) }
    } else {
      if !held[place].isLowerBound, held[place].size != found.size { scan.disagreements += 1 }
      held[place].size = held[place].isLowerBound ? found.size : max(held[place].size, found.size)
      held[place].isLowerBound = false
      held[place].references = found.references ?? held[place].references
      held[place].exporter = found.exporter ?? held[place].exporter
    }
    held[place].name = found.name ?? held[place].name
    let count = held[place].holders.count
    if count == 0 || held[place].holders[count - 1].process != found.process {
      // Descriptors of all processes come before all mappings.
      if let known = held[place].holders.firstIndex(where: { $0.process == found.process }) {
        held[place].holders[known].mappings += found.isMapping ? 1 : 0
        held[place].holders[known].descriptors += found.isMapping ? 0 : 1
        return
      }
      held[place].holders.append(MemoryScan.Holder(process: found.process, descriptors: 0, mappings: 0))
    }
    let holder = held[place].holders.count - 1
    if found.isMapping {
      held[place].holders[holder].mappings += 1
    } else {
      held[place].holders[holder].descriptors += 1
    }
  }

  mutating func finish(_ scan: inout MemoryScan) {
    var buffers: [MemoryScan.Buffer]
    if var list = last {
      let before = Set((first ?? last ?? []).map(\.inode))
      for index in list.indices {
        guard let place = places.removeValue(forKey: list[index].inode) else {
          list[index].isUnplaced = !before.contains(list[index].inode) || scan.depth == .totals
          continue
        }
        let known = held[place]
        if !known.isLowerBound, known.size != list[index].size { scan.disagreements += 1 }
        list[index].holders = known.holders
        // A descriptor tells the whole of a name with line feeds, and sysfs none.
        list[index].name = known.name ?? list[index].name
        list[index].references = list[index].references ?? known.references
      }
      // Entries of sysfs may come late; what is not in the other list any more has gone.
      if scan.list == .sysfs { list += places.values.map { held[$0] } }
      buffers = list
    } else {
      buffers = held
    }
    buffers.sort { $0.inode > $1.inode }
    var total: UInt64 = 0
    for buffer in buffers {
      let (sum, isTooLarge) = total.addingReportingOverflow(buffer.size)
      total = isTooLarge ? .max : sum
      if isTooLarge { scan.disagreements += 1 }
    }
    if let kernel = scan.kernelBytes, kernel != total { scan.disagreements += 1 }
    scan.buffers = buffers
    scan.bytes = total
  }
}

// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
public import Reports
import Synchronization

extension MediaGraph {
  /// Holds the table of buffers against the descriptors of this process, now. May take milliseconds: never on a thread others
  /// wait for.
  public func checkMemory() -> MemoryCheckReport {
    let report = MemoryCheck(environment).report()
    environment.lastCheck.store(report)
    return report
  }

  /// What the last check found; a new one is begun where that is old. For who must not wait.
  public func lastMemoryCheck() -> MemoryCheckReport? {
    let last = environment.lastCheck.value
    let age = last.map { Clock.now() / 1000 - $0.checkedMicroseconds } ?? .max
    if age > 10_000_000, !environment.isChecking.exchange(true, ordering: .acquiringAndReleasing) {
      do throws(Failure) {
        _ = try Thread.start("memory check") { [self] in
          _ = checkMemory()
          environment.isChecking.store(false, ordering: .releasing)
        }
      } catch {
        environment.isChecking.store(false, ordering: .releasing)
      }
    }
    return last
  }
}

/// One check. A buffer or descriptor that comes or goes meanwhile is none of its business: what was in the table neither before
/// nor after is wrong, and what was in it both times.
private struct MemoryCheck {
  /// Inodes are numbered by file system, and DMA-BUFs have one of their own.
  private struct Key: Hashable {
    var inode: UInt64
    var isDMABuf: Bool
  }

  private struct Piece {
    var buffer: Buffer
    var pool: String
    var memory: any Memory
  }

  private let environment: Environment

  init(_ environment: Environment) { self.environment = environment }

  /// The pieces of memory in the table, by inode.
  private func table() -> [Key: Piece] {
    var found: [Key: Piece] = [:]
    for entry in environment.pools.entries {
      for buffer in entry.pool.buffers {
        for memory in ([buffer.memory] + buffer.linked).map(\.whole) {
          let key = Key(inode: memory.inode, isDMABuf: memory.isDMABuf)
          if found[key] == nil { found[key] = Piece(buffer: buffer, pool: entry.pool.name, memory: memory) }
        }
      }
    }
    return found
  }

  func report() -> MemoryCheckReport {
    var report = MemoryCheckReport(checkedMicroseconds: Clock.now() / 1000)
    guard let inspector = environment.engines.inspector else {
      report.failure = "this build cannot look"
      return report
    }
    let before = table()
    let held: [HeldDescriptor]
    do throws(Failure) {
      held = try inspector.descriptors()
    } catch {
      report.failure = "\(error)"
      return report
    }
    let after = table()
    report.buffers = after.count
    let buffers = held.filter { $0.buffer != nil }
    report.descriptors = buffers.count
    let there = Set(held.map { Key(inode: $0.inode, isDMABuf: $0.buffer != nil) })
    for (key, piece) in after where before[key]?.memory === piece.memory && !there.contains(key) {
      report.withoutDescriptor.append(finding(piece, key.inode))
    }
    for descriptor in buffers {
      let key = Key(inode: descriptor.inode, isDMABuf: true)
      guard before[key] == nil, after[key] == nil else { continue }
      report.withoutBuffer.append(
        MemoryCheckReport.Finding(
          descriptor: descriptor.descriptor, name: descriptor.buffer?.name ?? "", inode: descriptor.inode,
          size: UInt64(max(0, descriptor.buffer?.size ?? 0)), kernelCount: descriptor.buffer?.count))
    }
    compareCounts(buffers, after, inspector, &report)
    report.withoutDescriptor.sort { ($0.buffer ?? 0) < ($1.buffer ?? 0) }
    report.heldElsewhere.sort { ($0.buffer ?? 0) < ($1.buffer ?? 0) }
    return report
  }

  /// Which buffers the kernel counts more references of than this process has by descriptor and mapping.
  private func compareCounts(
    _ held: [HeldDescriptor], _ table: [Key: Piece], _ inspector: any MemoryInspector,
    _ report: inout MemoryCheckReport
  ) {
    let own = Dictionary(grouping: held, by: \.inode)
    let mappings = inspector.mappings(of: Set(own.keys))
    var found: [MemoryCheckReport.Finding] = []
    for (inode, descriptors) in own {
      guard let piece = table[Key(inode: inode, isDMABuf: true)],
        let count = descriptors.compactMap({ $0.buffer?.count }).min()
      else { continue }
      let ours = descriptors.count + (mappings[inode] ?? 0)
      guard count > ours else { continue }
      var finding = finding(piece, inode)
      (finding.descriptor, finding.kernelCount, finding.ownCount) = (descriptors[0].descriptor, count, ours)
      found.append(finding)
    }
    guard !found.isEmpty else { return }
    let (holders, unreadable) = inspector.holders(of: Set(found.map(\.inode)))
    report.unreadableProcesses = unreadable
    report.heldElsewhere = found.map { finding in
      var finding = finding
      finding.holders = (holders[finding.inode] ?? []).map {
        MemoryCheckReport.Holder(process: $0.process, name: $0.name)
      }
      return finding
    }
  }

  private func finding(_ piece: Piece, _ inode: UInt64) -> MemoryCheckReport.Finding {
    MemoryCheckReport.Finding(
      buffer: Int(piece.buffer.id), name: "\(piece.pool)-\(piece.buffer.index)", inode: inode,
      size: UInt64(piece.memory.size))
  }
}

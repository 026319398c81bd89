// SPDX-License-Identifier: Apache-2.0
import MediaCore
public import Reports

extension MediaGraph {
  /// The encoder channels and what they share.
  public func encodersReport() -> EncodersReport {
    let channels = all.filter { $0.stream != nil }
    let services = environment.services.figures()
    let packets = environment.packets
    let (used, made) = (packets.used, packets.made)
    environment.pools.prune()
    let (buffers, idle) = environment.pools.entries.reduce((0, 0)) {
      ($0.0 + $1.pool.buffers.count, $0.1 + $1.pool.free)
    }
    // A frame that an encoder holds lies in a place of its queue or is being coded.
    let places = channels.reduce(0) { $0 + $1.node.input.depth + 1 }
    let held = channels.reduce(0) { $0 + min($1.node.figures().inFlight, $1.node.input.depth + 1) }
    return EncodersReport(
      worker: EncoderWorkerReport(
        lastRunNanoseconds: services.reduce(0) { max($0, $1.lastRunRawNanoseconds) },
        runs: services.reduce(0) { $0 + $1.runs }, triggers: services.reduce(0) { $0 + $1.triggers }),
      channels: channels.compactMap { $0.encoderReport() },
      packets: PacketPoolReport(unused: max(0, made - used), used: used, limit: packets.limit),
      buffers: PacketPoolReport(unused: idle, used: buffers - idle, limit: buffers),
      frames: PacketPoolReport(unused: places - max(0, held), used: max(0, held), limit: places))
  }
}

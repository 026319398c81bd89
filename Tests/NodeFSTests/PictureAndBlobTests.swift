// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import NodeFS

@Suite(.ownThread) struct PictureTests {
  private func tree(_ make: @escaping @Sendable (PictureRequest) throws -> Void) throws -> NodeTree {
    let tree = NodeTree()
    try tree.root.add("picture", .picture(deadline: .milliseconds(1), make: make))
    return tree
  }

  private func open(_ tree: NodeTree, arm: (UInt64) -> Void = { _ in }) throws -> Answers<Snapshot> {
    let answers = Answers<Snapshot>()
    let node = try tree.find("picture")
    guard case .picture(let desk) = try tree.open(node, flags: O_RDONLY, caller: someone) else { return answers }
    let parked: Parked<Snapshot> = tree.parked(node, .open, someone, deadline: desk.deadline) { answers.add($0) }
    desk.join(parked, caller: someone, arm: arm)
    return answers
  }

  @Test func oneIsMadeForAllWhoAskMeanwhile() throws {
    let requests = Mutexed<[PictureRequest]>([])
    let tree = try tree { request in requests.change { $0.append(request) } }
    let first = try open(tree)
    let second = try open(tree)
    #expect(requests.value.count == 1)
    requests.value.first?.reply.succeed([1, 2, 3])
    for answers in [first, second] {
      guard case .success(let snapshot)? = answers.first() else {
        Issue.record("no picture")
        continue
      }
      let handle = PictureHandle(try tree.find("picture"), snapshot, opener: someone)
      #expect(try handle.bytes() == [1, 2, 3])
      #expect(try handle.bytes(at: 2) == [3])
    }
    _ = try open(tree)
    #expect(requests.value.count == 2, "the next opener gets a new one")
  }

  @Test func aMakerThatFailsOrForgetsFailsTheOpen() throws {
    let busy = try tree { _ in throw NodeError(.resourceBusy) }
    #expect(try open(busy).errors == [.resourceBusy])
    #expect(try open(busy).errors == [.resourceBusy], "and does not block the node")
    #expect(try open(tree { _ in }).errors == [.ioError])
  }

  @Test func whoStopsWaitingDoesNotStopTheMaking() throws {
    let requests = Mutexed<[PictureRequest]>([])
    let tree = try tree { request in requests.change { $0.append(request) } }
    var id: UInt64 = 0
    let interrupted = try open(tree) { id = $0 }
    tree.interrupt(id)
    #expect(interrupted.errors == [.interrupted])
    let late = try open(tree)
    _ = tree.expireDeadlines(now: .max)
    #expect(late.errors == [.timedOut])
    let patient = try open(tree)
    #expect(requests.value.count == 1)
    requests.value.first?.reply.succeed([7])
    #expect(patient.errors == [] && patient.count == 1)
    #expect(interrupted.count == 1 && late.count == 1)
  }

  @Test func aPictureIsNotWritten() throws {
    let tree = try tree { _ in }
    #expect(errno { _ = try tree.openHandle("picture", flags: O_RDWR) } == .permissionDenied)
  }
}

@Suite(.ownThread) struct BlobTests {
  private func open(limit: Int = 100) throws -> (NodeTree, Handle, Mutexed<[[UInt8]]>) {
    let delivered = Mutexed<[[UInt8]]>([])
    let tree = NodeTree()
    try tree.root.add("blob", .blob(limit: limit) { delivery in delivered.change { $0.append(delivery.bytes) } })
    return (tree, try tree.openHandle("blob", flags: O_WRONLY), delivered)
  }

  @Test func whatWasWrittenInOrderIsDeliveredOnceAtClose() throws {
    let (tree, handle, delivered) = try open()
    _ = try tree.write([1, 2], to: handle)
    _ = try tree.write([3], to: handle, at: 2)
    #expect(delivered.value.isEmpty)
    handle.release()
    #expect(delivered.value == [[1, 2, 3]])
  }

  @Test func gapsAndRewritesAreEINVALAndNothingIsDelivered() throws {
    for offset: Int64 in [0, 1, 3] {
      let (tree, handle, delivered) = try open()
      _ = try tree.write([1, 2], to: handle)
      #expect(errno { _ = try tree.write([9], to: handle, at: offset) } == .invalidArgument)
      handle.release()
      #expect(delivered.value.isEmpty)
    }
  }

  @Test func tooLongIsE2BIGAndNothingIsDelivered() throws {
    let (tree, handle, delivered) = try open(limit: 4)
    _ = try tree.write([1, 2, 3], to: handle)
    #expect(errno { _ = try tree.write([4, 5], to: handle, at: 3) } == .argListTooLong)
    handle.release()
    #expect(delivered.value.isEmpty)
  }

  @Test func anEmptiedBlobIsDeliveredEmpty() throws {
    let (tree, _, delivered) = try open()
    let handle = try tree.openHandle("blob", flags: O_WRONLY | O_TRUNC)
    handle.release()
    #expect(delivered.value == [[]])
  }

  @Test func thoseBeingWrittenShareTheirRoomAndGiveItBack() throws {
    let delivered = Mutexed<[[UInt8]]>([])
    let tree = NodeTree()
    let room = BlobRoom(bytes: 5)
    try tree.root.add(
      "blob", .blob(limit: 4, room: room) { delivery in delivered.change { $0.append(delivery.bytes) } })
    let (one, other) = (
      try tree.openHandle("blob", flags: O_WRONLY), try tree.openHandle("blob", flags: O_WRONLY)
    )
    _ = try tree.write([1, 2, 3], to: one)
    #expect(errno { _ = try tree.write([4, 5, 6], to: other) } == .noMemory)
    #expect(errno { _ = try tree.write([4], to: other) } == .invalidArgument)
    other.release()
    one.release()
    for _ in 0..<3 {
      let next = try tree.openHandle("blob", flags: O_WRONLY)
      _ = try tree.write([7, 8, 9, 10], to: next)
      next.release()
      let spoilt = try tree.openHandle("blob", flags: O_WRONLY)
      _ = try tree.write([1], to: spoilt)
      #expect(errno { _ = try tree.write([1, 2, 3, 4], to: spoilt, at: 1) } == .argListTooLong)
      spoilt.release()
    }
    #expect(delivered.value == [[1, 2, 3]] + Array(repeating: [7, 8, 9, 10], count: 3))
  }

  @Test func anEmptyOrRemovedBlobIsNotDelivered() throws {
    let (_, empty, nothing) = try open()
    empty.release()
    #expect(nothing.value.isEmpty)
    let (tree, handle, delivered) = try open()
    _ = try tree.write([1], to: handle)
    tree.root.remove("blob")
    #expect(errno { _ = try tree.write([2], to: handle, at: 1) } == .operationNotSupportedByDevice)
    handle.release()
    #expect(delivered.value.isEmpty)
  }
}

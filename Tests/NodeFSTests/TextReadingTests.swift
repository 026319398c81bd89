// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import NodeFS

@Suite(.ownThread) struct TextReadingTests {
  /// A text of 500 lines, each naming the render it is of.
  private func tree() throws -> NodeTree {
    let tree = NodeTree()
    let renders = Count()
    try tree.root.add(
      "text",
      .text { out in
        let render = renders.next()
        for _ in 0..<500 { out.append("render \(render)\n") }
      })
    return tree
  }

  @Test func readingAtOffsetZeroRendersAnew() throws {
    let handle = try tree().openHandle("text")
    #expect(try handle.text(size: 9) == "render 1\n")
    #expect(try handle.text(size: 9) == "render 2\n")
  }

  @Test func furtherOffsetsSliceTheSameText() throws {
    let handle = try tree().openHandle("text")
    let whole = try handle.bytes()
    for size in [1, 7, 4096] {
      var collected = try handle.bytes(size: size)
      let first = collected
      while true {
        let next = try handle.bytes(at: Int64(collected.count), size: size)
        if next.isEmpty { break }
        #expect(next.count <= size)
        collected += next
      }
      #expect(collected.count == whole.count)
      #expect(collected.starts(with: first))
      let lines = String(decoding: collected, as: UTF8.self).split(separator: "\n")
      #expect(Set(lines).count == 1, "the pieces are of different renders")
    }
  }

  @Test func pastTheEndThereIsNothing() throws {
    let handle = try tree().openHandle("text")
    let length = Int64(try handle.bytes().count)
    #expect(try handle.bytes(at: length) == [])
    #expect(try handle.bytes(at: length + 1) == [])
    #expect(try handle.bytes(at: .max) == [])
    #expect(try handle.bytes(at: length - 1) == [UInt8(ascii: "\n")])
  }

  @Test func aFirstReadElsewhereThanAtZeroWorks() throws {
    let handle = try tree().openHandle("text")
    #expect(try handle.text(at: 7, size: 2) == "1\n")
  }

  @Test func everyOpenHasItsOwnText() throws {
    let tree = try tree()
    let one = try tree.openHandle("text")
    let two = try tree.openHandle("text")
    #expect(try one.text(size: 9) == "render 1\n")
    #expect(try two.text(size: 9) == "render 2\n")
    #expect(try one.text(at: 7, size: 1) == "1")
    #expect(try two.text(at: 7, size: 1) == "2")
  }

  @Test func parallelReadsOfOneDescriptorGetWholeTexts() throws {
    let tree = try tree()
    let handle = try tree.openHandle("text")
    let length = try handle.bytes().count
    let bad = Count()
    onThreads(8) { thread in
      for round in 0..<200 {
        // Half of them render, half slice; no slice may mix two renders.
        let offset = thread % 2 == 0 ? 0 : (round % 50) * 9
        guard let text = try? handle.text(at: Int64(offset), size: 900) else {
          bad.next()
          continue
        }
        // Renders 1000 and up have longer lines; below that every line has one length for a while.
        let lines = text.split(separator: "\n").dropFirst().dropLast()
        if Set(lines).count > 1 { bad.next() }
      }
    }
    #expect(bad.now == 0)
    #expect(length == 4500)
  }

  @Test func storageIsUsedAgain() throws {
    let tree = try tree()
    for _ in 0..<100 {
      let handle = try tree.openHandle("text")
      _ = try handle.bytes()
      _ = try handle.bytes(at: 100)
      _ = try handle.bytes()
      handle.release()
    }
    #expect(tree.snapshots.idleCount <= 2)
    #expect(tree.snapshots.idleCount >= 1)
  }

  @Test func aRenderThatFailsIsAReadThatFails() throws {
    let tree = NodeTree()
    try tree.root.add("bad", .text { _ in throw NodeError(.noSuchProcess) })
    try tree.root.add("worse", .text { _ in throw CancellationError() })
    let bad = try tree.openHandle("bad")
    #expect(errno { _ = try bad.bytes() } == .noSuchProcess)
    #expect(errno { _ = try tree.openHandle("worse").bytes() } == .ioError)
  }

  @Test func aRemovedTextIsENODEVForWhoHasItOpen() throws {
    let tree = try tree()
    let handle = try tree.openHandle("text")
    _ = try handle.bytes()
    tree.root.remove("text")
    #expect(errno { _ = try handle.bytes(at: 5) } == .operationNotSupportedByDevice)
    #expect(errno { _ = try handle.bytes() } == .operationNotSupportedByDevice)
  }

  @Test func textGrowsWithoutALimit() throws {
    var buffer = TextBuffer(capacity: 1)
    for number in 0..<100_000 {
      buffer.append(decimal: number)
      buffer.append(UInt8(ascii: "\n"))
    }
    let expected = (0..<100_000).map { "\($0)\n" }.joined()
    let isSame = buffer.withUnsafeBytes { $0.elementsEqual(expected.utf8) }
    #expect(isSame)
  }

  @Test func numbersAreWrittenInDecimal() {
    var buffer = TextBuffer()
    buffer.append(decimal: Int64.min)
    buffer.append(" ")
    buffer.append(decimal: UInt64.max)
    buffer.append(" ")
    buffer.append(decimal: 0)
    let text = buffer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    #expect(text == "-9223372036854775808 18446744073709551615 0")
  }
}

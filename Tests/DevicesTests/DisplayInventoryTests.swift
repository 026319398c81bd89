// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import Devices

/// The list of devices beside displays.
@Suite(.ownThread) struct DisplayInventoryTests {
  private let card = FakeCard()

  /// Looks at a directory with the card's node.
  private func look() throws -> DeviceInventory {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("inventory-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
      at: root.appendingPathComponent("dri"), withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: root) }
    try Data().write(to: root.appendingPathComponent("dri/card77"))
    return DeviceInventory(in: root.path, kernel: card)
  }

  @Test("connectors the kernel knows are listed without keeping the card from others")
  func known() throws {
    let connector = try #require(try look().cards.first?.connectors.first)
    #expect(connector.name == "HDMI-A-1")
    #expect(connector.modes.count == 2)
    #expect(card.with { $0.askedAsMaster } == 0)
    #expect(card.with { $0.files.isEmpty })
  }

  @Test("a connector nobody has asked yet is asked, and then the card is let go")
  func unknown() throws {
    card.with { $0.isUnasked = true }
    let connector = try #require(try look().cards.first?.connectors.first)
    #expect(connector.isConnected)
    #expect(connector.modes.count == 2)
    #expect(card.with { $0.master } == nil)
  }

  @Test("a connector nobody has asked yet stays so on a card another program has")
  func unknownAndTaken() throws {
    card.with { ($0.isUnasked, $0.isTaken) = (true, true) }
    let connector = try #require(try look().cards.first?.connectors.first)
    #expect(!connector.isConnected)
    #expect(card.with { $0.askedAsMaster } == 0)
  }
}

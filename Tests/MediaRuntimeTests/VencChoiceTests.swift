// SPDX-License-Identifier: Apache-2.0
import Devices
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import MediaRuntime

/// When an encoder channel asks a device again that it went without.
@Suite(.ownThread) struct VencChoiceTests {
  private static let second: Int64 = 1_000_000_000
  private let device = ScriptedEncoderFactory(name: "/dev/video9", isHardware: true)
  private let software = ScriptedEncoderFactory(name: "software engine")
  private let graph: MediaGraph
  private let node: Node

  init() throws {
    graph = try MediaGraph(engines: EngineCatalogue(), allocator: MemfdAllocator(), options: GraphOptions(workers: 1))
    let path = ObjectPath("venc/0")!
    _ = try graph.make(path, settings: ObjectSettings(["codec": .text("h264")]))
    node = graph.object(path)!.node
  }

  private func make(_ factory: any EncoderFactory) throws(Failure) -> VencEngine {
    guard let channel = graph.object(ObjectPath("venc/0")!) as? VencChannel else {
      throw Failure(.noSuchFileOrDirectory, "make", on: "venc/0")
    }
    return try VencEngine(
      factory: factory,
      configuration: EncoderConfiguration(
        codec: .h264, width: 64, height: 48, format: .i420, frameRate: .thirty,
        settings: ["gop": .integer(30), "bitrate": .integer(1000)]), layout: Doubles.layout,
      writer: PictureWriter(node: node, ring: channel.ring, codec: .h264, shown: channel.syntax) { _, _, _, _ in },
      channel: channel.core)
  }

  /// Seconds from `now` on until the choice would ask again; `nil` when it would not within two minutes.
  private func secondsLeft(_ choice: VencChoice, from now: Int64, version: Int = 1) -> Int? {
    (0...120).first { choice.isDue(at: now + Int64($0) * Self.second, version: version) }
  }

  @Test func aDeviceThatRefusesIsAskedEverMoreSeldomUpToOnceAMinute() throws {
    defer { graph.close() }
    device.script.fails.close()
    var choice = VencChoice()
    var now: Int64 = 1000 * Self.second
    let first = try choice.open([device, software], at: now, version: 1) { factory throws(Failure) in try make(factory)
    }
    #expect(first.factory.name == "software engine")
    var pauses: [Int] = []
    for _ in 0..<7 {
      let pause = try #require(secondsLeft(choice, from: now))
      pauses.append(pause)
      now += Int64(pause) * Self.second
      #expect(
        choice.better(than: software, [device, software], at: now, version: 1) {
          factory throws(Failure) in try make(factory)
        } == nil)
    }
    #expect(pauses == [2, 4, 8, 16, 32, 60, 60])
    // Devices that come or go are a reason to ask at once.
    #expect(secondsLeft(choice, from: now, version: 2) == 0)
  }

  @Test func aDeviceThatComesBackAndFailsAgainSoonIsNotAskedAsSoonAgain() throws {
    defer { graph.close() }
    var choice = VencChoice()
    var now: Int64 = 1000 * Self.second
    var pauses: [Int] = []
    for _ in 0..<4 {
      device.script.fails.close()
      _ = try choice.open([device, software], at: now, version: 1) { factory throws(Failure) in try make(factory) }
      let pause = try #require(secondsLeft(choice, from: now))
      pauses.append(pause)
      now += Int64(pause) * Self.second
      device.script.fails.open()
      let back = choice.better(than: software, [device, software], at: now, version: 1) {
        factory throws(Failure) in try make(factory)
      }
      #expect(back?.factory.name == "/dev/video9")
      #expect(secondsLeft(choice, from: now) == nil, "nothing is better")
      now += Self.second
    }
    #expect(pauses == [2, 4, 8, 16])
    // One that worked for long is trusted again.
    now += 100 * Self.second
    device.script.fails.close()
    _ = try choice.open([device, software], at: now, version: 1) { factory throws(Failure) in try make(factory) }
    #expect(secondsLeft(choice, from: now) == 2)
  }

  @Test func whereEveryEngineRefusesTheFirstOneIsHeard() throws {
    defer { graph.close() }
    device.script.fails.close()
    software.script.fails.close()
    var choice = VencChoice()
    let failure = #expect(throws: Failure.self) {
      _ = try choice.open([device, software], at: 0, version: 1) { factory throws(Failure) in try make(factory) }
    }
    #expect(failure?.errno == .ioError)
    #expect(choice.why(device) == "auto: a device is there")
  }
}

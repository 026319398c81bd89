// SPDX-License-Identifier: Apache-2.0
import Devices
import Foundation
import MediaCore
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

/// Where tasks are done: by the CPU workers, or by the workers a device has.
@Suite(.ownThread) struct TaskServicesTests {
  private func figures(_ graph: MediaGraph, _ name: String) -> ServiceFigures? {
    graph.serviceFigures().first { $0.name == name }
  }

  @Test func aSessionThatIsMovedAboutWhileItWorksLosesNoTaskAndOverlapsNone() throws {
    let services = try Services(workers: 1)
    let chore = Chore()
    let session = chore.session(on: services.cpu)
    let workplace = Workplace(session, services)
    let tellers = (0..<2).map { index in
      Background("teller\(index)") {
        for _ in 0..<3000 {
          chore.left.add(1, ordering: .acquiringAndReleasing)
          session.schedule()
        }
      }
    }
    let mover = Background("mover") {
      for round in 0..<600 { workplace.work(on: ["/dev/video1", nil, "/dev/video2"][round % 3]) }
      workplace.work(on: "/dev/video2")
    }
    for thread in tellers + [mover] { try thread.value }
    #expect(eventually { chore.done.load(ordering: .relaxed) == 6000 })
    #expect(chore.overlaps.load(ordering: .relaxed) == 0)
    #expect(session.service.name == "/dev/video2")
    // The last one may have been done elsewhere, where it is moved away from once more.
    #expect(eventually { session.isIdle })
    // A task after the last move is done there.
    let before = services.figures().map(\.runs)
    chore.left.add(1, ordering: .acquiringAndReleasing)
    session.schedule()
    #expect(eventually { chore.done.load(ordering: .relaxed) == 6001 })
    let after = services.figures()
    #expect(after.map(\.name) == ["cpu", "/dev/video1", "/dev/video2"])
    #expect(eventually { services.figures()[2].runs > before[2] })
    #expect(after[0].runs == before[0] && after[1].runs == before[1])
    #expect(eventually { services.figures().map(\.workers) == [1, 0, 1] }, "\(services.figures())")
    #expect(session.halt())
    session.attach(nil)
    services.close()
    #expect(eventually { services.figures().map(\.workers) == [0, 0, 0] })
  }

  @Test func channelsThatWaitForTheirDeviceLeaveTheCPUToTheOthers() throws {
    let device = ScriptedEncoderFactory(name: "/dev/video9", isHardware: true)
    let software = ScriptedEncoderFactory(name: "software engine")
    let graph = try MediaGraph(
      engines: EngineCatalogue(encoders: [device, software], sources: [ScriptedSourceFactory()]),
      allocator: MemfdAllocator(), options: GraphOptions(workers: 1).patient)
    defer { graph.close() }
    var objects = [
      try graph.make(ObjectPath("vi/0")!, settings: ObjectSettings(["input": .text("pattern")]))
    ]
    // More of them hang than there are CPU workers.
    device.script.gate.close()
    for (number, backend) in ["/dev/video9", "/dev/video9", "software"].enumerated() {
      let path = ObjectPath("venc", number)!
      let settings = ObjectSettings(["codec": .text("h264"), "backend": .text(backend)])
      objects.append(try graph.make(path, settings: settings))
      graph.bind(receiver: path, source: ObjectPath("vi/0")!)
    }
    for object in objects.reversed() { try object.start() }
    #expect(eventually { graph.sessionFigures().filter(\.isOverdue).count == 2 })
    let before = software.script.encoded.load(ordering: .relaxed)
    #expect(eventually { software.script.encoded.load(ordering: .relaxed) > before + 20 })
    #expect(graph.sessionFigures().map(\.service) == ["vi0", "/dev/video9", "/dev/video9", "cpu"])
    #expect(figures(graph, "/dev/video9")?.workers == 2)
    #expect(figures(graph, "cpu")?.workers == 1, "none had to be added in place of a stuck one")
    device.script.gate.open()
    #expect(eventually { device.script.encoded.load(ordering: .relaxed) > 10 })
    for object in objects { object.stop() }
    #expect(eventually { figures(graph, "/dev/video9")?.workers == 0 })
    #expect((figures(graph, "/dev/video9")?.runs ?? 0) > 2, "what was counted stays")
    #expect(graph.sessionFigures().map(\.service) == ["vi0", "cpu", "cpu", "cpu"])
    for object in objects { object.retire() }
  }

  @Test func aGroupOneOfWhoseOutputsIsScaledByADeviceWorksOnItsWorker() throws {
    let bench = try Bench(scaler: ScriptedScalerFactory(name: "/dev/video8", isHardware: true))
    defer { bench.finish() }
    try bench.pipeline()
    #expect(eventually { bench.scaler.script.calls.load(ordering: .relaxed) > 5 })
    #expect(bench.graph.sessionFigures().first { $0.path == "vpss/0" }?.service == "/dev/video8")
    #expect(eventually { (figures(bench.graph, "/dev/video8")?.runs ?? 0) > 5 })
    // The other output passes its frames on; without the one that scales nothing waits for the device.
    bench.stop("vpss/0/1")
    #expect(bench.graph.sessionFigures().first { $0.path == "vpss/0" }?.service == "cpu")
    #expect(eventually { figures(bench.graph, "/dev/video8")?.workers == 0 })
    let before = bench.figures("venc/0").output.frames
    #expect(eventually { bench.figures("venc/0").output.frames > before + 5 })
    try bench.start("vpss/0/1")
    #expect(eventually { figures(bench.graph, "/dev/video8")?.workers == 1 })
    let calls = bench.scaler.script.calls.load(ordering: .relaxed)
    #expect(eventually { bench.scaler.script.calls.load(ordering: .relaxed) > calls + 5 })
  }
}

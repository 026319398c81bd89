// SPDX-License-Identifier: Apache-2.0
import Devices
import Glibc
import LinuxMedia
import MediaCore
import Synchronization
import SystemPackage

/// The camera's own switches, which `vivid` has for tests.
struct Switches {
  let device: V4L2Device
  let controls: [ControlDescription]

  init(_ path: String) throws {
    device = try V4L2Device(path)
    controls = try device.controls()
  }

  func set(_ key: String, _ value: Int64 = 1) throws {
    guard let control = controls.first(where: { $0.key == key }) else {
      throw KernelError(.invalidArgument, "no control \(key)", on: device.path)
    }
    // A button takes any value and gives none.
    try device.setValue(value, of: control)
  }
}

/// Each fault the driver can inject, while streaming; after each the source goes on and has counted it.
func faultScenario(_ checks: Checks, camera: String) {
  checks.section("faults")
  _ = checks.run("controls") {
    let switches = try Switches(camera)
    let menu = switches.controls.first { $0.kind == .menu }
    checks.expect(switches.controls.count > 20, "controls are listed", "\(switches.controls.count)")
    checks.expect(
      menu.map { !$0.menu.isEmpty } ?? false, "menus have names",
      menu.map { "\($0.name): \($0.menu.map(\.name))" } ?? "-")
    let brightness = switches.controls.first { $0.key == "brightness" }
    if let brightness {
      checks.expect("a value is what was set", try switches.device.setValue(77, of: brightness), is: 77)
      checks.expect("and read back", try switches.device.value(of: brightness), is: 77)
      _ = try switches.device.setValue(brightness.defaultValue, of: brightness)
    } else {
      checks.expect(false, "brightness")
    }
  }
  _ = checks.run("drops") {
    let source = try V4L2CaptureSource(camera, request())
    let switches = try Switches(camera)
    let earlier = try take(2, from: source)
    let before = source.counters
    try switches.set("percentage_of_dropped_buffers", 30)
    let got = try take(60, from: source)
    try switches.set("percentage_of_dropped_buffers", 0)
    let dropped = source.counters.droppedByDevice - before.droppedByDevice
    let lacking = source.counters.droppedNoBuffer - before.droppedNoBuffer
    // A guest that gets little time makes the driver leave out more by itself.
    checks.expect(dropped >= 5, "30 % drops are the device's", "\(dropped) beside 60 frames")
    checks.expect("frames and drops make up the numbers", 60 + dropped + lacking, is: got.last - earlier.last)
    // Where the clock runs on while this program stands still, the driver fills all it has meanwhile.
    checks.expect(lacking == 0 || getenv("REAL_TIME") != nil, "none for lack of buffers", "\(lacking)")
  }
  _ = checks.run("lack of buffers") {
    let source = try V4L2CaptureSource(camera, request(fps: 15, buffers: 2))
    let total = source.pool?.buffers.count ?? 0
    var before = SourceCounters()
    try hold(source, left: total) { before = source.counters }
    // The next picture tells of what was lost meanwhile; an emulated driver on a busy host loses more by itself at other times.
    let next = try take(1, from: source)
    let after = source.counters
    let lacking = after.droppedNoBuffer - before.droppedNoBuffer
    checks.expect(lacking > 0, "a graph that holds all is told", "\(lacking)")
    checks.expect("the device is not blamed for it", after.droppedByDevice - before.droppedByDevice, is: 0)
    checks.expect("low-water mark", source.pool?.lowWater, is: -1)
    let rest = try take(total + 2, from: source)
    checks.expect("and it goes on", next.count + rest.count, is: total + 3)
  }
  _ = checks.run("damaged buffer") {
    let source = try V4L2CaptureSource(camera, request())
    let switches = try Switches(camera)
    let before = try take(3, from: source)
    let lost = { source.counters.droppedByDevice + source.counters.droppedNoBuffer }
    let lostBefore = lost()
    try switches.set("inject_v4l2_buf_flag_error")
    let after = try take(10, from: source)
    checks.expect("one damaged picture is counted, not shown", source.counters.damaged, is: 1)
    checks.expect("it is not lost as well", after.last - before.last, is: 11 + lost() - lostBefore)
  }
  _ = checks.run("QBUF refused") {
    let source = try V4L2CaptureSource(camera, request())
    let switches = try Switches(camera)
    try take(3, from: source)
    try switches.set("inject_vidioc_qbuf_error")
    try take(10, from: source)
    checks.expect("a buffer the driver refused once is tried again", source.pool?.free, is: source.pool?.buffers.count)
    checks.expect("without starting anew", source.counters.restarts, is: 0)
  }
  _ = checks.run("fatal error") {
    let source = try V4L2CaptureSource(camera, request())
    let switches = try Switches(camera)
    let held = try source.next()
    guard let held else { return checks.expect(false, "a picture to hold") }
    let first = held.sequence
    for round in 1...3 {
      try switches.set("inject_fatal_streaming_error")
      let got = try take(5, from: source)
      checks.expect("frames after fatal error \(round)", got.count, is: 5)
      checks.expect(got.first > first, "numbers go on rising")
    }
    checks.expect("restarts", source.counters.restarts, is: 3)
    let size = try DMABuf.size(held.buffer.memory.fileDescriptor, subject: "held")
    checks.expect("a picture taken before is still there", size, is: held.buffer.memory.size)
    checks.expect(
      "nothing but its buffer is left of earlier runs", (source.pool?.buffers.count ?? 0) - (source.pool?.free ?? 0),
      is: 1)
  }
  _ = checks.run("refused restarts") {
    let source = try V4L2CaptureSource(camera, request())
    let switches = try Switches(camera)
    try take(2, from: source)
    try switches.set("inject_vidioc_reqbufs_error")
    try switches.set("inject_vidioc_streamon_error")
    try switches.set("inject_fatal_streaming_error")
    checks.expect("frames after a restart that was refused twice", try take(5, from: source).count, is: 5)
    checks.expect("restarts", source.counters.restarts, is: 1)
  }
  _ = checks.run("refused start") {
    let switches = try Switches(camera)
    for key in ["inject_vidioc_reqbufs_error", "inject_vidioc_streamon_error"] {
      try switches.set(key)
      var said = "opened"
      do { _ = try V4L2CaptureSource(camera, request()) } catch { said = "\(error)" }
      checks.expect(said.hasPrefix("VIDIOC_"), "a refused start says which call", said)
      checks.expect(
        "\(key): the next attempt works", try take(2, from: V4L2CaptureSource(camera, request())).count, is: 2)
    }
  }
  _ = checks.run("wraps") {
    let switches = try Switches(camera)
    try switches.set("wrap_sequence_number")
    try switches.set("wrap_timestamp", 1)
    let source = try V4L2CaptureSource(camera, request())
    var (last, rising, near): (Int64, Bool, Bool) = (0, true, true)
    // The number wraps 128 frames after the start.
    let got = try take(200, from: source) { frame in
      if frame.pts <= last { rising = false }
      last = frame.pts
      if abs(now() / 1000 - frame.pts) > 10_000_000 { near = false }
    }
    checks.expect(
      "200 numbered frames over the wrap", got.last - got.first + 1,
      is: 200 + source.counters.droppedByDevice + source.counters.droppedNoBuffer)
    // Mistaken for a gap it would be four thousand million.
    checks.expect(
      source.counters.droppedByDevice < 10_000, "a wrap is no gap", "\(source.counters.droppedByDevice) dropped")
    checks.expect(rising && near, "time stamps rise and are near the clock")
    try switches.set("wrap_sequence_number", 0)
    try switches.set("wrap_timestamp", 0)
  }
}

/// Holds pictures until the driver has no buffer left, and a little longer.
private func hold(_ source: any Source, left: Int, whenAllAreHeld: () -> Void) throws {
  if left == 0 {
    whenAllAreHeld()
    var pause = timespec(tv_sec: 0, tv_nsec: 200_000_000)
    nanosleep(&pause, nil)
    return
  }
  guard let frame = try source.next() else { return }
  try hold(source, left: left - 1, whenAllAreHeld: whenAllAreHeld)
  _ = frame.sequence
}

/// An HDMI input whose signal changes and goes.
func signalScenario(_ checks: Checks, camera: String) {
  checks.section("signal")
  _ = checks.run("HDMI") {
    checks.expect("input 3 is HDMI", system("v4l2-ctl -d \(camera) -i 3 >/dev/null"), is: 0)
    defer { _ = system("v4l2-ctl -d \(camera) -i 0 >/dev/null") }
    let switches = try Switches(camera)
    let modes = switches.controls.first { $0.key == "dv_timings_signal_mode" }?.menu ?? []
    let timings = switches.controls.first { $0.key == "dv_timings" }?.menu ?? []
    func mode(_ name: String) throws {
      try switches.set("dv_timings_signal_mode", modes.first { $0.name == name }?.index ?? -1)
    }
    func select(_ name: String) throws {
      try switches.set("dv_timings", timings.first { $0.name.hasPrefix(name) }?.index ?? -1)
    }
    try select("1280x720p60")
    try mode("Selected DV Timings")
    // The size asked for is not what comes in: the runtime gets it all the same, or is told.
    let source = try V4L2CaptureSource(camera, request(width: 1280, height: 720, fps: 60))
    checks.expect("the size that comes in", [source.layout.width, source.layout.height], is: [1280, 720])
    try take(3, from: source)
    try select("640x480p59")
    let changed = try take(5, from: source)
    checks.expect("frames after the signal changed", changed.count, is: 5)
    checks.expect(source.counters.restarts >= 1, "the stream was started anew", "\(source.counters.restarts)")
    let timing = try V4L2Device(camera).signal()
    if case .present(let now) = timing {
      checks.expect("the device was set to it", [now.width, now.height], is: [640, 480])
      checks.expect(abs(now.framesPerSecond - 59.94) < 0.1, "and its rate", "\(now.framesPerSecond)")
    } else {
      checks.expect(false, "a signal", "\(timing)")
    }
    print("      \(source.layout.width)x\(source.layout.height) at \(source.frameRate), \(source.remarks)")
    try mode("No Signal")
    var said = ""
    do { try take(200, from: source) } catch { said = "\(error)" }
    checks.expect(said.contains("no signal at the input"), "a signal that goes is told", said)
    do {
      try take(1, from: source)
      checks.expect(false, "no frames without a signal")
    } catch {
      checks.expect(true, "and told again while it is away")
    }
    try mode("Selected DV Timings")
    checks.expect("frames when it is back", try take(5, from: source).count, is: 5)
  }
}

/// The camera leaves and comes back.
func disconnectScenario(_ checks: Checks, camera: String) {
  checks.section("disconnect")
  _ = checks.run("disconnect") {
    let source = try V4L2CaptureSource(camera, request())
    for round in 1...2 {
      try take(3, from: source)
      try disconnect(camera)
      var said = ""
      do {
        try take(10, from: source)
      } catch let failure as Failure {
        said = "\(failure)"
        checks.expect("departure \(round)", failure.errno, is: Errno(rawValue: ENODEV))
      }
      print("      \(said)")
      checks.expect("it is taken back", try take(5, from: source).count, is: 5)
      checks.expect("outages", source.counters.outages, is: UInt64(round))
    }
    checks.expect("an outage is no restart", source.counters.restarts, is: 0)
  }
  _ = checks.run("interrupt") {
    let source = try V4L2CaptureSource(camera, request())
    let stopper = Stopper(source.interrupt)
    var seen = 0
    // Not before some have come, which may take longer than the stopper waits.
    let got = try take(100_000, from: source) { _ in
      seen += 1
      if seen == 3 { stopper.startAfter(milliseconds: 100) }
    }
    checks.expect(
      got.count > 0 && got.count < 100_000, "an interrupt ends a wait for pictures", "\(got.count) before it")
    let after = try source.next()
    checks.expect(after == nil, "for good")
    stopper.join()
  }
}

/// The descriptor that presses the switch is closed before the source closes its own: the kernel gives the device back
/// only when all are.
private func disconnect(_ camera: String) throws { try Switches(camera).set("disconnect") }

/// Interrupts a source or a decoder from another thread.
final class Stopper: @unchecked Sendable {
  private let interrupt: () -> Void
  private var thread = pthread_t()
  private var delay = timespec()
  init(_ interrupt: @escaping () -> Void) { self.interrupt = interrupt }

  func startAfter(milliseconds: Int) {
    delay = timespec(tv_sec: 0, tv_nsec: milliseconds * 1_000_000)
    let me = Unmanaged.passRetained(self)
    pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let me = Unmanaged<Stopper>.fromOpaque(argument).takeRetainedValue()
        nanosleep(&me.delay, nil)
        me.interrupt()
        return nil
      }, me.toOpaque())
  }

  func join() { pthread_join(thread, nil) }
}

/// Two hundred times: nothing of it stays.
func leakScenario(_ checks: Checks, camera: String) {
  checks.section("leaks")
  _ = checks.run("leaks") {
    func cycle() throws {
      let source = try V4L2CaptureSource(camera, request(width: 320, height: 180, fps: 120, buffers: 2))
      try take(1, from: source)
    }
    try cycle()
    let before = (
      entries("/proc/self/fd").count, contents("/proc/self/maps").split(separator: "\n").count, kernelDMABufTotal()
    )
    for _ in 0..<200 { try cycle() }
    let after = (
      entries("/proc/self/fd").count, contents("/proc/self/maps").split(separator: "\n").count, kernelDMABufTotal()
    )
    checks.expect("descriptors after 200 cycles", after.0, is: before.0)
    checks.expect(after.1 <= before.1 + 4, "mappings after 200 cycles", "\(after.1), before \(before.1)")
    checks.expect("the kernel's buffers after 200 cycles", after.2, is: before.2)
  }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import Synchronization
import SystemPackage

/// A camera that gives no picture and has controls.
final class ControlledCamera: SourceFactory, ControlSurface {
  struct State {
    var controls = [
      DeviceControl(name: "brightness", title: "Brightness", kind: .integer, maximum: 255, defaultValue: 128),
      DeviceControl(
        name: "power", title: "Power", kind: .menu, maximum: 1,
        choices: [.init(number: 0, name: "Off"), .init(number: 1, name: "50 Hz")]),
      DeviceControl(name: "press", title: "Press", kind: .button, isWriteOnly: true),
      DeviceControl(name: "temperature", title: "Temperature", kind: .integer, maximum: 200, isReadOnly: true),
      DeviceControl(name: "area", title: "Area", kind: .unsupported("array")),
    ]
    var values: [String: ControlValue] = ["brightness": .number(128), "power": .number(1), "temperature": .number(20)]
    var kept: Set<String> = []
    var problems: [ControlProblem] = []
    /// What was done, in order.
    var journal: [String] = []
    /// What the device refuses.
    var refused: Set<String> = []
    /// Above this the device makes it this.
    var clamp: Int64 = .max
  }
  let state = Mutex(State())

  func take() -> [String] {
    state.withLock { state in
      defer { state.journal = [] }
      return state.journal
    }
  }

  // MARK: SourceFactory

  func handles(_ input: InputSpecification) -> Bool { if case .file = input { false } else { true } }

  func open(_ input: InputSpecification, _ request: SourceRequest) throws(Failure) -> any Source {
    let controls = request.controls.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    state.withLock { $0.journal.append("open " + controls.joined(separator: " ")) }
    return SilentSource(controls: input == .pattern ? nil : self)
  }

  // MARK: ControlSurface

  var controls: [DeviceControl] { state.withLock { $0.controls } }
  func value(of name: String) -> ControlValue? { state.withLock { $0.values[name] } }

  func set(_ name: String, _ value: ControlValue) throws(Failure) -> ControlValue? {
    let real: Result<ControlValue, Failure> = state.withLock { state in
      state.journal.append("set \(name) \(state.controls.first { $0.name == name }?.text(value) ?? "?")")
      if state.refused.contains(name) { return .failure(Failure(.resourceBusy, "VIDIOC_S_EXT_CTRLS", on: name)) }
      var real = value
      if case .number(let number) = value { real = .number(min(number, state.clamp)) }
      state.values[name] = real
      state.kept.insert(name)
      return .success(real)
    }
    return try real.get()
  }

  func forget(_ name: String) { _ = state.withLock { $0.kept.remove(name) } }

  func takeProblems() -> [ControlProblem] {
    state.withLock { state in
      defer { state.problems = [] }
      return state.problems
    }
  }
}

/// Waits for a picture that never comes.
private final class SilentSource: Source {
  let controls: (any ControlSurface)?
  private let stopped = Atomic<Bool>(false)
  init(controls: (any ControlSurface)?) { self.controls = controls }

  let summary = "silent"
  let layout = FrameLayout(
    format: .i420, width: 64, height: 64, plane0: Plane(offset: 0, stride: 64, lines: 64))
  let frameRate = FrameRate.thirty
  let isLive = true
  let memoryKind = "none"
  let counters = SourceCounters()
  var pool: (any BufferPool)? { nil }

  func next() throws(Failure) -> Frame? {
    while !stopped.load(ordering: .relaxed) { usleep(1000) }
    return nil
  }
  func interrupt() { stopped.store(true, ordering: .relaxed) }
}

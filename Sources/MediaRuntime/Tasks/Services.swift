// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization

/// The services of a graph: the CPU workers, and one for each device there is or that sessions work on.
///
/// Waiting for hardware costs no CPU, so it must not cost a CPU worker either: a device has a worker of its own for every
/// session on it, and its driver shares the hardware between them. A device's service stays when the last session has
/// left it, without a worker, so that its counters never go back; it goes with its device.
final class Services: Sendable {
  /// Name of the CPU workers' service.
  static let cpuName = "cpu"

  let cpu: Service
  let load = LoadMeter()
  private let devices = Mutex(Devices())
  private let listener = Mutex<(@Sendable () -> Void)?>(nil)
  private let timing = Mutex(Timing())
  private let workChanges = Atomic<Int>(0)

  /// Whether the stages of slow tasks are logged, as it was written, and where they go.
  private struct Timing {
    var value: UInt32 = 0
    var log: SlowTasks.Log?
  }

  private struct Devices {
    var services: [String: (service: Service, sessions: Int)] = [:]
    /// Devices the machine has; `nil` while nobody has said.
    var there: Set<String>?

    /// Forgets the services of devices that are gone, once no session is on them.
    mutating func prune() {
      guard let there else { return }
      services = services.filter { $0.value.sessions > 0 || there.contains($0.key) }
    }
  }

  /// - Throws: EAGAIN when no worker thread could be made.
  init(workers: Int) throws(Failure) {
    cpu = try Service(name: Services.cpuName, workers: max(1, workers))
  }

  /// A worker of the device for one session more.
  /// - Throws: EAGAIN when the system has no more threads.
  func join(_ device: String) throws(Failure) -> Service {
    let (service, isNew) = try devices.withLock { devices throws(Failure) -> (Service, Bool) in
      let known = devices.services[device]
      let service = known?.service ?? make(device)
      devices.services[device] = (service, known?.sessions ?? 0)
      try service.addWorker()
      devices.services[device] = (service, (known?.sessions ?? 0) + 1)
      return (service, known == nil)
    }
    if isNew { changed() }
    return service
  }

  /// One session fewer on the device, which was moved to another service.
  func leave(_ device: String) {
    let (service, isGone) = devices.withLock { devices -> (Service?, Bool) in
      guard let known = devices.services[device] else { return (nil, false) }
      devices.services[device] = (known.service, known.sessions - 1)
      devices.prune()
      return (known.service, devices.services[device] == nil)
    }
    service?.removeWorker()
    if isGone { changed() }
  }

  /// The machine has these devices from now on: each has a service, also before a session is on it.
  func follow(_ names: Set<String>) {
    let hasChanged = devices.withLock { devices -> Bool in
      let before = Set(devices.services.keys)
      devices.there = names
      for name in names where devices.services[name] == nil {
        devices.services[name] = (make(name), 0)
      }
      devices.prune()
      return Set(devices.services.keys) != before
    }
    if hasChanged { changed() }
  }

  private func make(_ device: String) -> Service {
    // A frame is a turn: it takes so long that beginning another costs nothing beside it.
    let service = Service(name: device, turn: 1, isDevice: true)
    service.slowTasks.log(to: timing.withLock { $0.log })
    return service
  }

  /// Calls back when a device's service came or went, on whatever thread it did. At most one listener; it must not block.
  func onChange(_ body: @escaping @Sendable () -> Void) { listener.withLock { $0 = body } }

  private func changed() { listener.withLock { $0 }?() }

  /// The thread of one channel, which may wait as long as it likes. Without the thread yet.
  func ownThread(_ name: String) -> Service {
    let service = Service(name: name, isOwnThread: true)
    cpu.host(service)
    return service
  }

  /// Ends it, with its channel.
  func close(ownThread service: Service) {
    service.close()
    cpu.bidFarewell(to: service)
  }

  /// The CPU's first, then the devices' by name.
  var all: [Service] {
    [cpu]
      + devices.withLock { devices in
        devices.services.keys.sorted().compactMap { devices.services[$0]?.service }
      }
  }

  /// Times a service was taken out of work or back in.
  var changesOfWork: Int { workChanges.load(ordering: .acquiring) }

  /// Takes a service out of work, or back in.
  func disable(_ service: Service, _ value: UInt32) {
    service.disable(value)
    workChanges.add(1, ordering: .acquiringAndReleasing)
  }

  /// Those of the engines whose device is in work; all where none is.
  /// - Parameter device: the one an engine works on, `nil` where the CPU does.
  func inWork<Engine>(_ engines: [Engine], device: (Engine) -> String?) -> [Engine] {
    guard changesOfWork > 0 else { return engines }
    let disabled = Set(all.filter { $0.disabled != 0 }.map(\.name))
    let able = engines.filter { engine in device(engine).map { !disabled.contains($0) } ?? true }
    return able.isEmpty ? engines : able
  }

  /// Buffers that a pool of pictures made by a device has at least, or by the CPU.
  func leastBuffers(for device: String?) -> Int {
    guard let device else { return cpu.leastBuffers }
    return devices.withLock { $0.services[device]?.service.leastBuffers } ?? 0
  }

  /// Takes no lock of the frame path.
  func figures(processorTime: Bool = false) -> [ServiceFigures] {
    all.map { $0.figures(processorTime: processorTime) }
  }

  // MARK: slow tasks

  /// As it was written: other than 0 while the stages of slow tasks are logged.
  var timingEnabled: UInt32 { timing.withLock { $0.value } }

  /// - Parameter log: where the lines go.
  func logSlowTasks(_ value: UInt32, to log: @escaping SlowTasks.Log) {
    let log = value == 0 ? nil : log
    timing.withLock { $0 = Timing(value: value, log: log) }
    for service in all { service.slowTasks.log(to: log) }
  }

  /// The workers hold their services, so they end by this call.
  func close() {
    load.close()
    for service in all { service.close() }
  }
}

/// Decides where a session's tasks are done: by the CPU workers, or by the worker a device has for it.
///
/// `work(on:)` may be called by the session's own worker or by the control lane.
final class Workplace: Sendable {
  private let session: Session
  private let services: Services
  private let device = Mutex<(name: String, service: Service)?>(nil)

  init(_ session: Session, _ services: Services) {
    self.session = session
    self.services = services
  }

  /// - Parameter name: the device the session's next tasks will wait for; `nil` where only the CPU works.
  /// - Returns: what stands in the way of a worker of its own; the CPU workers do the tasks then.
  @discardableResult func work(on name: String?) -> Failure? {
    device.withLock { device -> Failure? in
      guard device?.name != name else { return nil }
      var obstacle: Failure?
      let old = device
      device = nil
      if let name {
        do throws(Failure) { device = (name, try services.join(name)) } catch { obstacle = error }
      }
      session.move(to: device?.service ?? services.cpu)
      if let old { services.leave(old.name) }
      return obstacle
    }
  }
}

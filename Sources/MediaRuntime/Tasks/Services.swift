// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization

/// The services of a graph: the CPU workers, and one for each device that sessions work or have worked on.
///
/// Waiting for hardware costs no CPU, so it must not cost a CPU worker either: a device has a worker of its own for every
/// session on it, and its driver shares the hardware between them. A device's service stays when the last session has
/// left it, without a worker, so that its counters never go back.
final class Services: Sendable {
  /// Name of the CPU workers' service.
  static let cpuName = "cpu"

  let cpu: Service
  private let devices = Mutex<[String: Service]>([:])

  /// - Throws: EAGAIN when no worker thread could be made.
  init(workers: Int) throws(Failure) {
    cpu = try Service(name: Services.cpuName, workers: max(1, workers))
  }

  /// A worker of the device for one session more.
  /// - Throws: EAGAIN when the system has no more threads.
  func join(_ device: String) throws(Failure) -> Service {
    try devices.withLock { devices throws(Failure) in
      let service: Service
      if let known = devices[device] {
        service = known
      } else {
        // A frame is a turn: it takes so long that beginning another costs nothing beside it.
        service = try Service(name: device, workers: 0, turn: 1)
      }
      devices[device] = service
      try service.addWorker()
      return service
    }
  }

  /// The thread of one channel, which may wait as long as it likes. Without the thread yet.
  func ownThread(_ name: String) -> Service { Service(name: name, isOwnThread: true) }

  /// The CPU's first, then the devices' by name.
  private var all: [Service] {
    [cpu] + devices.withLock { devices in devices.keys.sorted().compactMap { devices[$0] } }
  }

  /// Takes no lock of the frame path.
  func figures() -> [ServiceFigures] { all.map { $0.figures() } }

  /// The workers hold their services, so they end by this call.
  func close() {
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
      old?.service.removeWorker()
      return obstacle
    }
  }
}

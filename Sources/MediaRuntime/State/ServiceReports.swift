// SPDX-License-Identifier: Apache-2.0
import Base
public import MediaCore
public import Reports

extension MediaGraph {
  /// What the workers of the CPU and of each device did; the CPU's first.
  public func serviceFigures() -> [ServiceFigures] { environment.services.figures(processorTime: true) }

  /// The same and what became of tasks, declared for `metrics`.
  public func serviceStatistics() -> [StatisticGroup] {
    serviceFigures().map { StatisticGroup("service", owner: $0.name, $0.statistics) } + sessionStatistics()
  }

  /// The services, how busy they are and what is set for them.
  public func servicesReport() -> ServicesReport {
    let services = environment.services
    return ServicesReport(
      loadWindow: services.load.milliseconds, timing: services.timingEnabled,
      services: services.all.map { service in
        let figures = service.figures()
        return ServiceReport(
          name: service.name, workers: figures.workers, waiting: figures.waiting, tasks: figures.tasks,
          disabled: service.disabled, slowTask: service.slowTasks.microseconds, poolBuffers: service.poolBuffers,
          load: services.load.load(of: service))
      })
  }

  /// Names of the services: the CPU's, then the devices'.
  public var serviceNames: [String] { environment.services.all.map(\.name) }

  /// Calls back when a device's service came or went, on whatever thread it did. At most one listener; it may read from the
  /// graph and must not block.
  public func servicesChanged(_ listener: @escaping @Sendable () -> Void) { environment.services.onChange(listener) }

  /// Makes a service for each device that encodes or scales now, and lets go of those whose device is gone.
  public func followDevices() {
    let engines = environment.engines
    environment.services.follow(
      Set(engines.encoders.compactMap(\.device) + engines.scalers.compactMap(\.device)))
  }

  /// Which formats can be coded and decoded here.
  public func codingReport() -> CodingReport {
    let engines = environment.engines
    let (encodes, decodes) = (Set(engines.encoders.flatMap(\.codecs)), Set(engines.decoders.flatMap(\.codecs)))
    return CodingReport(
      encodes: CodedFormat.allCases.filter(encodes.contains), decodes: CodedFormat.allCases.filter(decodes.contains))
  }

  // MARK: setting

  /// Sets a number of one service, or of all.
  /// - Parameters:
  ///   - service: name of the one; `nil` for what is set for all.
  ///   - path: what refusals name.
  /// - Throws: ENODEV there is no such service, EBUSY nobody else can do its work, EAGAIN no thread could be made.
  public func set(
    _ setting: ServiceSetting, of service: String? = nil, to value: UInt32, path: String
  ) throws(Refusal) {
    let services = environment.services
    switch setting {
    case .loadWindow:
      do throws(Failure) { try services.load.set(milliseconds: value, of: services) } catch {
        throw Refusal(error, path: path)
      }
    case .timing:
      let environment = environment
      services.logSlowTasks(value) { [weak environment] in environment?.log(.system, .warning, $0) }
    case .poolBuffers: try find(service, path).poolBuffers = value
    case .slowTask: try find(service, path).slowTasks.microseconds = value
    case .disabled:
      let found = try find(service, path)
      guard value == 0 || found !== services.cpu else {
        throw Refusal(
          .resourceBusy, path: path, reason: "\(found.name) is the only service that does work of the CPU",
          hint: "disable what gives it work: echo 0 > venc/N/enable; or only 0")
      }
      let wasInWork = found.disabled == 0
      services.disable(found, value)
      guard wasInWork != (value == 0) else { return }
      // Who can do without it goes over; who cannot waits.
      if value != 0 {
        for channel in all where channel.core.ownsSession && channel.session.service === found && channel.hasOtherEngine
        {
          channel.core.work(on: nil)
        }
        found.lookAgain()
      }
      environment.log(
        .system, .information, "service \(found.name) \(value == 0 ? "takes work again" : "gets no further work")")
    }
  }

  private func find(_ name: String?, _ path: String) throws(Refusal) -> Service {
    guard let service = environment.services.all.first(where: { $0.name == name }) else {
      throw Refusal(.operationNotSupportedByDevice, path: path, reason: "there is no such service any more")
    }
    return service
  }
}

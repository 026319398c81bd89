// SPDX-License-Identifier: Apache-2.0
import MediaCore
public import Reports

extension MediaGraph {
  /// The sessions of all channels that have one, in the order of the configuration. Takes no lock of the frame path.
  public func sessionFigures() -> [SessionReport] {
    let objects = all
    return objects.compactMap { object in
      // An output's work is done by its group's session.
      guard object.core.ownsSession else { return nil }
      return report(on: object.session, of: object, objects.filter { $0.session === object.session })
    }
  }

  /// - Parameter members: the object itself, and what its session works for besides.
  private func report(
    on session: Session, of object: any Channel, _ members: [any Channel]
  ) -> SessionReport {
    let work = object.node.work.figures()
    let since = session.runningSince
    let service = session.service
    var report = SessionReport(
      path: "\(object.path)", id: object.node.id, nodes: members.map(\.node.id),
      isRunning: object.state.value.isRunning, service: service.name, device: device(of: object, service),
      pending: object.node.input.waiting, runningSince: since == 0 ? nil : since / 1000)
    report.isOverdue = session.isStuck
    report.begun = session.begun
    report.done = work.done
    report.failed = work.failed
    report.timedOut = work.timedOut
    report.lastWait = work.lastWait / 1000
    report.meanWait = work.tasks == 0 ? 0 : work.totalWait / Int64(clamping: work.tasks) / 1000
    report.longestWait = work.longestWait / 1000
    report.lastRun = work.lastRun / 1000
    report.meanRun = work.meanRun / 1000
    report.longestRun = work.longestRun / 1000
    return report
  }

  /// The device whose worker does the tasks, or that the object has open on a thread of its own.
  private func device(of object: any Channel, _ service: Service) -> String? {
    func path(_ name: String?) -> String? { name.flatMap { $0.hasPrefix("/dev/") ? $0 : nil } }
    return path(service.name) ?? path(object.activeFacts().first { $0.key == "backend" }?.value)
  }

  /// What became of the tasks of each session, declared for `metrics`.
  func sessionStatistics() -> [StatisticGroup] {
    sessionFigures().map { session in
      func tasks(_ cause: String, _ count: UInt64) -> Statistic {
        Statistic("tasks", .counter, cause: cause, "Tasks that ended, by how.", count)
      }
      return StatisticGroup(
        "session", owner: session.path,
        [
          tasks("done", session.done), tasks("failed", session.failed), tasks("timed_out", session.timedOut),
          Statistic("waiting_tasks", .gauge, "Tasks that wait.", session.pending),
          Statistic("running", .gauge, "1 while a task runs, else 0.", session.runningSince == nil ? 0 : 1),
          Statistic("overdue", .gauge, "1 while a task runs longer than it may, else 0.", session.isOverdue ? 1 : 0),
          Statistic(
            "longest_wait_us", .gauge, unit: .microseconds, "Longest time a task waited.", session.longestWait),
        ])
    }
  }
}

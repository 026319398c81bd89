// SPDX-License-Identifier: Apache-2.0
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import SystemPackage

/// The directories of the services: that of the CPU is always there, those of devices come and go with them.
extension DebugTree {
  /// Makes and takes out directories, as the services are now. Called from any thread.
  func followServices() {
    serviceDirectories.withLock { shown in
      let pages = moments.pages
      guard !pages.servicePages.isEmpty, let folder = tree.root[pages.serviceFolder] as? Directory else { return }
      let names = graph.serviceNames
      for (name, directory) in shown where !names.contains(name) {
        folder.remove(directory)
        shown[name] = nil
      }
      for name in names where shown[name] == nil {
        let directory = ServiceReport.shortName(of: name)
        let path = "\(pages.serviceFolder)/\(directory)"
        do throws(NodeError) {
          try folder.add(directory, serviceDirectory(name, path))
          shown[name] = directory
        } catch {
          runtime.errorLog.record(Failure(error.errno, "adding to the tree", on: path, error.reason), path: path)
        }
      }
    }
  }

  private func serviceDirectory(_ name: String, _ path: String) throws(NodeError) -> Directory {
    let moments = moments
    let directory = Directory()
    for page in moments.pages.servicePages {
      let render = rendering(page.capacity) { out in
        let moment = Moment(moments)
        guard let service = moment.services.services.first(where: { $0.name == name }) else {
          throw NodeError(.operationNotSupportedByDevice)
        }
        page.render(service, moment, &out)
      }
      try directory.add(page.name, node("\(path)/\(page.name)", takes: page.intake(of: name), render: render))
    }
    return directory
  }
}

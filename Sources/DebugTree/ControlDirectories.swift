// SPDX-License-Identifier: Apache-2.0
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import SystemPackage

/// `controls/` of an input channel: a file for each control of the device it runs on. The directory is there while the
/// channel runs on a device; before, nobody knows what controls there will be.
extension DebugTree {
  /// Makes, changes or takes out the directory, as the device has it now. Called from any thread.
  func followControls(of path: ObjectPath) {
    controlFiles.withLock { files in
      guard let object = objectDirectory(path) else {
        files[path] = nil
        return
      }
      guard let surface = graph.controls(of: path) else {
        object.remove("controls")
        files[path] = nil
        return
      }
      var wanted: [(name: String, kind: AttributeKind)] = []
      for control in surface.controls {
        if let kind = control.attributeKind { wanted.append((control.name, kind)) }
      }
      do throws(NodeError) {
        let isNew = object["controls"] == nil
        let directory = isNew ? Directory() : object["controls"] as? Directory
        guard let directory else { return }
        if isNew {
          try directory.add(
            "help",
            Node.text(
              render: rendering { [graph] in
                HelpPage.write(graph.objectState(path)?.controls?.help ?? [], to: &$0)
              }))
        }
        var made = isNew ? [:] : files[path] ?? [:]
        for (name, kind) in made where !wanted.contains(where: { $0.name == name && $0.kind == kind }) {
          directory.remove(name)
          made[name] = nil
        }
        for (name, kind) in wanted where made[name] == nil {
          try directory.add(name, controlNode(path, name, kind))
          made[name] = kind
        }
        files[path] = made
        if isNew { try object.add("controls", directory) }
      } catch {
        runtime.errorLog.record(
          Failure(error.errno, "adding to the tree", on: "\(path)/controls", error.reason), path: path.description)
      }
    }
  }

  private func controlNode(_ path: ObjectPath, _ name: String, _ kind: AttributeKind) -> Node {
    let (runtime, graph, key) = (runtime, graph, ControlKey.key(name))
    let render: Node.Render = { buffer in
      guard let surface = graph.controls(of: path), let control = surface.control(name) else {
        throw NodeError(.operationNotSupportedByDevice)
      }
      // What the device never told has no value: an empty line.
      buffer.append(surface.value(of: name).map { control.text($0) } ?? "")
      buffer.append(UInt8(ascii: "\n"))
    }
    switch kind {
    case .setting:
      return Node.setting(
        render: render,
        write: { request in runtime.apply([.set(path, key, request.bytes)]) { request.reply.answer($0) } })
    case .command:
      return Node.command { request in
        runtime.apply([.command(path, key, request.bytes)]) { request.reply.answer($0) }
      }
    default: return Node.text(render: render)
    }
  }
}

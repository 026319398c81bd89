// SPDX-License-Identifier: Apache-2.0
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import SystemPackage

/// The directories of the objects: made when the runtime says that an object came, taken out when it went.
extension DebugTree {
  /// `vi`, `vpss`, `venc`, ...: one directory for each class this build can make.
  func addClassDirectories() throws(NodeError) {
    for type in runtime.settingsTable.types where !type.isPart {
      try tree.root.add(type.name, Self.container(type.name, of: type, runtime: runtime))
    }
  }

  /// A directory in which `mkdir` makes objects and `rmdir` removes them.
  private static func container(_ prefix: String, of type: ObjectType, runtime: Runtime) -> Directory {
    Directory(
      make: { request in
        let path = try objectPath(prefix, request.name, of: type, runtime)
        runtime.apply([.create(path)]) { request.reply.answer($0) }
      },
      remove: { request in
        let path = try objectPath(prefix, request.name, of: type, runtime)
        runtime.apply([.remove(path)]) { request.reply.answer($0) }
      })
  }

  private static func objectPath(
    _ prefix: String, _ name: String, of type: ObjectType, _ runtime: Runtime
  ) throws -> ObjectPath {
    let table = runtime.settingsTable
    if let path = table.path("\(prefix)/\(name)") { return path }
    let range = table.numbering("\(prefix)/\(name)")
    let refusal = MediaCore.Refusal(
      range == nil ? .invalidArgument : .outOfRange, path: "\(prefix)/\(name)",
      reason: range == nil ? "not a name of an object" : "is out of range",
      hint: range ?? table.naming(type))
    runtime.errorLog.record(refusal)
    throw NodeError(refusal)
  }

  /// Called by the runtime for every change, in order, before the writer is answered.
  func follow(created: [ObjectIdentity], removed: [ObjectIdentity]) {
    for object in removed {
      directory(above: object.path)?.remove(object.path.name)
      controlFiles.withLock { $0[object.path] = nil }
    }
    for object in created {
      guard let parent = directory(above: object.path) else { continue }
      do throws(NodeError) {
        try parent.add(object.path.name, directory(of: object))
      } catch {
        runtime.errorLog.record(
          Failure(error.errno, "adding to the tree", on: object.path.description, error.reason),
          path: object.path.description)
      }
      // Made and started in one go: the device was there before its directory.
      followControls(of: object.path)
    }
  }

  /// The directory of an object that is in the tree.
  func objectDirectory(_ path: ObjectPath) -> Directory? {
    directory(above: path)?[path.name] as? Directory
  }

  private func directory(above path: ObjectPath) -> Directory? {
    let top = tree.root[path.kind] as? Directory
    guard path.isPart else { return top }
    let whole = top?[String(path.number)] as? Directory
    return path.target == nil ? whole : whole?[ObjectPath.attachments] as? Directory
  }

  /// The directory of one object with a file for every attribute the settings table names.
  private func directory(of object: ObjectIdentity) throws(NodeError) -> Directory {
    let (table, type) = (runtime.settingsTable, object.path.type)
    let directory =
      table.hasOutputs(type)
      ? Self.container(object.path.description, of: type.outputs, runtime: runtime) : Directory()
    for attribute in table.attributes(type) {
      guard let node = node(object.path, attribute) else { continue }
      try directory.add(attribute.key, node)
    }
    if table.hasAttachments(type) {
      let name = ObjectPath.attachments
      try directory.add(
        name, Self.container("\(object.path)/\(name)", of: type.attachments, runtime: runtime))
    }
    return directory
  }

  private func node(_ path: ObjectPath, _ attribute: Attribute) -> Node? {
    let (runtime, graph, key) = (runtime, graph, attribute.key)
    switch attribute.kind {
    case .setting:
      return Node.setting(
        render: { buffer in
          guard let text = runtime.setting(path, key) else { throw NodeError(.operationNotSupportedByDevice) }
          buffer.append(text)
          buffer.append(UInt8(ascii: "\n"))
        },
        write: { request in
          runtime.apply([.set(path, key, request.bytes)]) { request.reply.answer($0) }
        })
    case .command:
      return Node.command { request in
        runtime.apply([.command(path, key, request.bytes)]) { request.reply.answer($0) }
      }
    case .info:
      return info(path, key)
    case .stream:
      return Node.stream { opening in
        do throws(MediaCore.Refusal) {
          return PacketStream(try graph.openStream(path, named: key), signal: opening.signal) { failure in
            runtime.errorLog.record(MediaCore.Refusal(failure, path: "\(path)/\(key)"))
          }
        } catch {
          runtime.errorLog.record(error)
          throw NodeError(error)
        }
      }
    case .picture:
      return Node.picture { request in
        graph.snapshot(path, named: key) { result in
          switch result {
          case .success(let bytes): request.reply.succeed(bytes)
          case .failure(let failure): request.reply.fail(NodeError(failure.errno, failure.description))
          }
        }
      }
    case .sink:
      return Node.sink { opening in
        do throws(MediaCore.Refusal) {
          return PacketSink(try graph.openFeed(path), signal: opening.signal)
        } catch {
          runtime.errorLog.record(error)
          throw NodeError(error)
        }
      }
    case .blob:
      return Node.blob(limit: graph.largestFile(for: path), room: beingWritten) { delivery in
        graph.take(delivery.bytes, for: path, key)
      }
    }
  }

  /// A page of one object; one this part does not know is not made, so that no dead file appears.
  private func info(_ path: ObjectPath, _ name: String) -> Node? {
    guard let page = moments.pages.objectPages.first(where: { $0.name == name }) else { return nil }
    let graph = graph
    return Node.text(
      render: rendering(page.capacity) {
        guard let state = graph.objectState(path) else { throw NodeError(.operationNotSupportedByDevice) }
        page.render(state, &$0)
      })
  }
}

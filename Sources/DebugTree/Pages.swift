// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import SystemPackage

/// The pages at their paths. Which there are is NodeText's affair: nothing is listed here.
extension DebugTree {
  func addPages() throws(NodeError) {
    for page in moments.pages.pages {
      let node = node(page)
      for path in page.paths { try add(node, at: path) }
    }
  }

  /// Adds a node and the directories above it that are not there yet.
  func add(_ node: Node, at path: String) throws(NodeError) {
    var names = path.split(separator: "/").map(String.init)
    guard let name = names.popLast() else { return }
    var directory = tree.root
    for name in names {
      let next = directory[name] as? Directory ?? Directory()
      if directory[name] == nil { try directory.add(name, next) }
      directory = next
    }
    try directory.add(name, node)
  }

  private func node(_ page: Page) -> Node {
    let moments = moments
    return node(
      page.paths[0], takes: page.takes, isPrivate: page.isPrivate,
      preparation: page.needs.map { preparation($0, of: page) },
      render: rendering(page.capacity) { page.render(Moment(moments), &$0) })
  }

  /// What is looked at by a thread of its own.
  private func preparation(_ need: Page.Need, of page: Page) -> Preparation {
    guard case .look(let look) = need else {
      let desk = MemoryCheckDesk(moments.memoryCheck)
      return Preparation(isRequired: page.isMemoryAlone, isDone: { desk.isFresh }, begin: { desk.refresh($0) })
    }
    let (memory, needsLayout) = (memory, page.needsLayout)
    return Preparation(
      isRequired: page.isMemoryAlone, isDone: { memory.isFresh(look) && (!needsLayout || memory.isLayoutFresh()) },
      begin: { done in
        memory.refresh(look) { if needsLayout { memory.refreshLayout(done) } else { done() } }
      })
  }

  /// A node that shows a page, and takes what the page does.
  func node(
    _ path: String, takes intake: Intake?, isPrivate: Bool = false, preparation: Preparation? = nil,
    render: @escaping Node.Render
  ) -> Node {
    let (runtime, graph, memory) = (runtime, graph, memory)
    guard let intake else {
      return Node.text(mode: isPrivate ? 0o400 : 0o444, preparation: preparation, render: render)
    }
    return Node.setting(
      limit: intake.limit, wholeWrites: intake.isWhole, preparation: preparation, render: render,
      write: { request in
        let action: Intake.Action
        do throws(Intake.Mistake) {
          action = try intake.parse(request.bytes)
        } catch {
          let refusal = MediaCore.Refusal(
            error.isOutOfRange ? .outOfRange : .invalidArgument, path: path, value: request.bytes,
            reason: error.reason, hint: error.hint)
          runtime.errorLog.record(refusal)
          throw NodeError(refusal)
        }
        Self.carryOut(action, path, request, runtime, graph, memory)
      })
  }

  private static func carryOut(
    _ action: Intake.Action, _ path: String, _ request: WriteRequest, _ runtime: Runtime, _ graph: MediaGraph,
    _ memory: SystemMemorySource
  ) {
    let reply = request.reply
    @Sendable func answer(_ refusal: MediaCore.Refusal?) {
      guard var refusal else {
        reply.succeed()
        return
      }
      refusal.value = request.bytes
      runtime.errorLog.record(refusal)
      reply.answer(refusal)
    }
    func set(_ setting: ServiceSetting, of service: String?, to value: UInt32) {
      do throws(MediaCore.Refusal) {
        try graph.set(setting, of: service, to: value, path: path)
        reply.succeed()
      } catch {
        var refusal = error
        refusal.value = request.bytes
        runtime.errorLog.record(refusal)
        reply.answer(refusal)
      }
    }
    switch action {
    case .loadConfiguration(let text): return runtime.loadConfig(text, creates: false) { reply.answer($0) }
    case .logCommand(let text):
      do throws(MediaCore.Refusal) { try runtime.logCommand(text) } catch { return reply.answer(error) }
    case .clearErrorLog: runtime.errorLog.clear()
    case .setMemoryLimit(let text): return runtime.setMemoryLimit(text) { reply.answer($0) }
    case .resetMemoryPeak:
      // What others have made until now must not count as new afterwards.
      return memory.lookAnew {
        graph.resetMemoryPeak()
        reply.succeed()
      }
    case .markMemory(let name): return memory.mark(name, answer)
    case .clearMemoryMark(let name):
      if !memory.clearMark(name) {
        return answer(
          MediaCore.Refusal(
            .noSuchFileOrDirectory, path: path, reason: "there is no such mark", hint: "mark NAME sets one"))
      }
    case .setServices(let setting, let value): return set(setting, of: nil, to: value)
    case .setService(let service, let setting, let value): return set(setting, of: service, to: value)
    }
    reply.succeed()
  }
}

/// Lets a page of NodeText write into NodeFS's buffer.
func rendering(
  _ capacity: Int = 4096, _ write: @escaping @Sendable (inout TextWriter) throws -> Void
) -> Node.Render {
  { buffer in
    buffer.reserve(capacity)
    try buffer.lend { base, room in
      var writer = TextWriter(taking: base, room: room)
      var failure: (any Error)?
      do { try write(&writer) } catch { failure = error }
      let text = writer.release()
      return (text.base, text.room, text.count, failure)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
import TestSupport
import Testing

@testable import MediaRuntime

/// A runtime of a test, in which everything goes through transactions, and each is waited for.
protocol Studio {
  var graph: MediaGraph { get }
  var runtime: Runtime { get }
}

extension Studio {
  @discardableResult func apply(_ changes: Change...) -> Refusal? {
    let answer = Answer()
    runtime.apply(changes, reply: answer.reply)
    return answer.wait()
  }

  @discardableResult func load(_ text: String) -> Refusal? {
    let answer = Answer()
    runtime.loadConfig(Array(text.utf8), reply: answer.reply)
    return answer.wait()
  }

  @discardableResult func set(_ path: String, _ key: String, _ text: String) -> Refusal? {
    apply(.set(Bench.path(path), key, text))
  }

  func condition(_ path: String) -> ObjectCondition? { graph.objectState(path)?.condition }

  func fact(_ path: String, _ key: String) -> String? {
    graph.objectState(path)?.active.first { $0.key == key }?.value
  }

  func shutDown() {
    _ = runtime.shutDown(milliseconds: 10_000)
    graph.close()
  }
}

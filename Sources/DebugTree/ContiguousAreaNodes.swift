// SPDX-License-Identifier: Apache-2.0
import MediaCore
import NodeFS
import NodeText
import Reports
import SystemPackage

/// The nodes of the kernel's areas of contiguous memory: `rk_cma/AREA`, and `rk_dma_heap/alloc_bitmap` for the one a heap takes its
/// buffers from. There are as many as there are areas, and none without.
extension DebugTree {
  /// Makes and takes out nodes, as the areas are now. Called from any thread.
  func followAreas() {
    areaNodes.withLock { shown in
      let wanted = ContiguousAreaPage.nodes(of: memory.layout()).map(\.path)
      for path in shown.subtracting(wanted) {
        remove(path)
        shown.remove(path)
      }
      for path in wanted where !shown.contains(path) {
        do throws(NodeError) {
          try add(areaNode(path), at: path)
          shown.insert(path)
        } catch {
          runtime.errorLog.record(Failure(error.errno, "adding to the tree", on: path, error.reason), path: path)
        }
      }
      if let folder = tree.root[ContiguousAreaPage.folder] as? Directory, folder.names.isEmpty {
        tree.root.remove(ContiguousAreaPage.folder)
      }
    }
  }

  private func remove(_ path: String) {
    let names = path.split(separator: "/", maxSplits: 1).map(String.init)
    (tree.root[names[0]] as? Directory)?.remove(names[1])
  }

  /// Looked at by a thread of its own, as the other pages about the system's memory are.
  private func areaNode(_ path: String) -> Node {
    let memory = memory
    return Node.text(
      preparation: Preparation(isDone: { memory.isLayoutFresh() }, begin: { memory.refreshLayout($0) }),
      render: rendering(ContiguousAreaPage.capacity) { out in
        guard let node = ContiguousAreaPage.nodes(of: memory.layout()).first(where: { $0.path == path }) else {
          throw NodeError(.operationNotSupportedByDevice)
        }
        ContiguousAreaPage.write(node.area, to: &out)
      })
  }
}

// SPDX-License-Identifier: Apache-2.0
import DebugTree
import Devices

extension SystemMemorySource {
  /// The threads that look, as the tree asks them.
  init(_ watch: SystemMemoryWatch, _ layout: PhysicalMemoryWatch) {
    self.init()
    report = { watch.report }
    isFresh = { watch.isFresh($0) }
    refresh = { watch.refresh($0, $1) }
    lookAnew = { watch.lookAnew(.totals, $0) }
    mark = { watch.mark($0, $1) }
    clearMark = { watch.clearMark($0) }
    self.layout = { layout.report }
    isLayoutFresh = { layout.isFresh }
    refreshLayout = { layout.refresh($0) }
    layoutChanged = { layout.changed($0) }
  }
}

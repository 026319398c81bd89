// SPDX-License-Identifier: Apache-2.0
import DebugTree
import Devices

extension SystemMemorySource {
  /// The thread that looks, as the tree asks it.
  init(_ watch: SystemMemoryWatch) {
    self.init()
    report = { watch.report }
    isFresh = { watch.isFresh($0) }
    refresh = { watch.refresh($0, $1) }
    lookAnew = { watch.lookAnew(.totals, $0) }
    mark = { watch.mark($0, $1) }
    clearMark = { watch.clearMark($0) }
  }
}

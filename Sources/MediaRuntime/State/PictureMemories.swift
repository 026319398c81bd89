// SPDX-License-Identifier: Apache-2.0
public import MediaCore

extension MediaGraph {
  /// The pieces of memory of all buffers, each once and whole. Whoever has one keeps it and its mapping.
  public var pictureMemories: [any Memory] {
    var seen: Set<ObjectIdentifier> = []
    var found: [any Memory] = []
    for entry in environment.pools.entries {
      for buffer in entry.pool.buffers {
        for memory in [buffer.memory] + buffer.linked {
          let whole = memory.whole
          if seen.insert(ObjectIdentifier(whole)).inserted { found.append(whole) }
        }
      }
    }
    return found
  }
}

// SPDX-License-Identifier: Apache-2.0
public import MediaCore
public import Reports

/// Who looks at the DMA-BUFs of the whole system. Nothing of it waits: who asks is called back, from any thread.
public struct SystemMemorySource: Sendable {
  public typealias Done = @Sendable () -> Void

  public var report: @Sendable () -> SystemMemoryReport = { SystemMemoryReport() }
  /// What is known so well is good enough for a reader now.
  public var isFresh: @Sendable (MemoryLook) -> Bool = { _ in true }
  public var refresh: @Sendable (MemoryLook, @escaping Done) -> Void = { $1() }
  /// Looks once more, whatever is known.
  public var lookAnew: @Sendable (@escaping Done) -> Void = { $0() }
  public var mark: @Sendable (String, @escaping @Sendable (Refusal?) -> Void) -> Void = { $1(nil) }
  /// Returns whether there was such a mark.
  public var clearMark: @Sendable (String?) -> Bool = { _ in true }

  /// Where own buffers lie, and what contiguous memory the kernel has.
  public var layout: @Sendable () -> PhysicalMemoryReport = { PhysicalMemoryReport() }
  public var isLayoutFresh: @Sendable () -> Bool = { true }
  public var refreshLayout: @Sendable (@escaping Done) -> Void = { $0() }
  /// Has it called when heaps or areas of contiguous memory are others than before.
  public var layoutChanged: @Sendable (@escaping Done) -> Void = { _ in }

  public init() {}
}

// SPDX-License-Identifier: Apache-2.0
import Base
public import MediaCore
import Synchronization

/// What this build and this machine offer now. Devices come and go while the process runs: the catalogue, and the table of
/// settings made from it, are swapped whole, so that whoever reads takes no lock and sees one or the other.
public final class EngineRegistry: Sendable {
  private let modules: [ModuleClass]
  private let content: Published<SettingsTable>
  private let replaced = Atomic<Int>(0)
  private let listener = Mutex<(@Sendable () -> Void)?>(nil)

  public convenience init(_ catalogue: EngineCatalogue) { self.init(catalogue, modules: Modules.all) }

  /// - Parameter modules: the classes of objects there are, in the order of the tree.
  init(_ catalogue: EngineCatalogue, modules: [ModuleClass]) {
    self.modules = modules
    content = Published(SettingsTable(catalogue, modules))
  }

  /// Every attribute of every kind of object, with the choices there are now.
  public var table: SettingsTable { content.value }

  public var catalogue: EngineCatalogue { table.catalogue }

  /// From now on this is offered. What is in use stays in use until it is opened anew.
  public func replace(_ catalogue: EngineCatalogue) {
    content.store(SettingsTable(catalogue, modules))
    replaced.wrappingAdd(1, ordering: .releasing)
    listener.withLock { $0 }?()
  }

  /// Calls back after each new catalogue, on the thread that brought it. At most one listener; it must not block.
  public func onReplace(_ body: @escaping @Sendable () -> Void) { listener.withLock { $0 = body } }

  /// Grows with every new catalogue. Whoever sees a number finds that catalogue or a later one.
  public var version: Int { replaced.load(ordering: .acquiring) }
}

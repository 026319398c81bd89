// SPDX-License-Identifier: Apache-2.0
import Atomics

/// What this build and this machine offer now. Devices come and go while the process runs: the catalogue, and the table of
/// settings made from it, are swapped whole, so that whoever reads takes no lock and sees one or the other.
public final class EngineRegistry: Sendable {
  private final class Content: AtomicReference, Sendable {
    let table: SettingsTable
    init(_ catalogue: EngineCatalogue) { table = SettingsTable(catalogue) }
  }

  private let content: ManagedAtomic<Content>
  private let replaced = ManagedAtomic<Int>(0)

  public init(_ catalogue: EngineCatalogue) { content = ManagedAtomic(Content(catalogue)) }

  /// Every attribute of every kind of object, with the choices there are now.
  public var table: SettingsTable { content.load(ordering: .acquiring).table }

  public var catalogue: EngineCatalogue { table.catalogue }

  /// From now on this is offered. What is in use stays in use until it is opened anew.
  public func replace(_ catalogue: EngineCatalogue) {
    content.store(Content(catalogue), ordering: .releasing)
    replaced.wrappingIncrement(ordering: .releasing)
  }

  /// Grows with every new catalogue. Whoever sees a number finds that catalogue or a later one.
  public var version: Int { replaced.load(ordering: .acquiring) }
}

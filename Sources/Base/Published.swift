// SPDX-License-Identifier: Apache-2.0
public import Atomics

/// A value that is swapped whole and read without a lock: settings, a list, what is in use. Any thread may read and
/// store; a reader gets the value as it was stored, the old one or the new one, and holds nobody up.
///
/// Storing allocates, reading does not. What depends on the value before is changed with ``update(_:)``, or under a lock of
/// the writers' own. The value is freed by whoever lets go of it last, which may be a reader.
///
/// A copy is the same place: who hands it on hands on where the value is published.
public struct Published<Value: Sendable>: Sendable {
  /// A value as it was stored. Holding it keeps the value, for one retain however many parts of it are looked at.
  public final class Edition: AtomicReference, Sendable {
    public let value: Value
    @usableFromInline init(_ value: Value) { self.value = value }
  }

  @usableFromInline let place: ManagedAtomic<Edition>

  public init(_ value: Value) { place = ManagedAtomic(Edition(value)) }

  /// What is published now.
  @inlinable public var value: Value { place.load(ordering: .acquiring).value }

  /// The same, held and not copied: for the frame path, and where only a part of a large value is wanted.
  @inlinable public var edition: Edition { place.load(ordering: .acquiring) }

  @inlinable public func store(_ value: Value) { place.store(Edition(value), ordering: .releasing) }

  /// - Returns: what was published before.
  @inlinable public func exchange(_ value: Value) -> Value {
    place.exchange(Edition(value), ordering: .acquiringAndReleasing).value
  }

  /// Replaces the value by what `body` makes of it, unless that is `nil`.
  /// - Parameter body: called again where somebody else has stored meanwhile.
  /// - Returns: whether it was replaced.
  @inlinable @discardableResult public func update(_ body: (Value) -> Value?) -> Bool {
    var old = place.load(ordering: .acquiring)
    while let value = body(old.value) {
      let (exchanged, seen) = place.compareExchange(
        expected: old, desired: Edition(value), ordering: .acquiringAndReleasing)
      if exchanged { return true }
      old = seen
    }
    return false
  }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Who has one node open for reading, and what the kernel believes of the node's length.
///
/// Each open has a text or picture of its own, but the kernel keeps one length and one set of pages for the node, whoever
/// has it open. So that `fstat` says the length of what its descriptor will read, the length is told to the process that
/// has it open, and the kernel is made to ask where it would answer from memory. So that `sendfile` never mixes two texts,
/// the pages are lent to one open at a time.
final class OpenFiles: Sendable {
  private struct State {
    /// In the order they were opened.
    var handles: [ReadHandle] = []
    /// The length the kernel was told last, by which it cuts what goes through its pages.
    var told = 0
    /// How often it was told one.
    var telling: UInt64 = 0
    /// It may answer the next `stat` by itself.
    var isTrusted = false
    /// The open whose text is in the pages.
    var lender: ObjectIdentifier?
  }
  private let state = Mutex(State())

  // MARK: the length

  /// `length` is on its way to the kernel.
  func tell(_ length: Int) {
    state.withLock {
      $0.told = length
      $0.telling += 1
      $0.isTrusted = true
    }
  }

  /// A `read(2)` has come. The kernel asks for the attributes again after each read, since that may have changed the time of
  /// access; that an earlier read of this descriptor is over is certain when the next one comes.
  func noteRead(_ handle: ReadHandle) {
    state.withLock {
      if handle.tellingAtRead == $0.telling { $0.isTrusted = false }
      handle.tellingAtRead = $0.telling
    }
  }

  /// - Parameter length: of what the open will read, where that is known already.
  /// - Returns: whether the kernel must forget the length it was told before the open is answered.
  func add(_ handle: ReadHandle, length: Int?) -> Bool {
    state.withLock {
      $0.handles.append(handle)
      guard $0.isTrusted, $0.told != length else { return false }
      $0.isTrusted = false
      return true
    }
  }

  /// - Returns: whether the kernel must forget the pages.
  func remove(_ handle: ReadHandle) -> Bool {
    state.withLock {
      if let index = $0.handles.firstIndex(where: { $0 === handle }) { $0.handles.remove(at: index) }
      guard $0.lender == ObjectIdentifier(handle) else { return false }
      $0.lender = nil
      return true
    }
  }

  /// The newest open of the process that asks; of whichever thread of it, since a server may open in one and ask in another.
  func handle(of caller: Caller) -> ReadHandle? {
    let (own, others): (ReadHandle?, [ReadHandle]) = state.withLock {
      if $0.handles.isEmpty { return (nil, []) }
      if let own = $0.handles.last(where: { $0.opener.pid == caller.pid }) { return (own, []) }
      // Each costs a system call.
      return (nil, $0.handles.suffix(8).reversed().filter { $0.opener.uid == caller.uid })
    }
    return own ?? others.first { Self.areOneProcess($0.opener.pid, caller.pid) }
  }

  private static func areOneProcess(_ one: Int32, _ other: Int32) -> Bool {
    // 0: the caller lives where we see no processes.
    one > 0 && other > 0 && access("/proc/\(one)/task/\(other)", F_OK) == 0
  }

  /// The length somebody was promised who has not read yet. Everybody is told it then, so that it stays the kernel's.
  var promisedLength: Int? {
    state.withLock { state in
      // Newer ones matter; what a thousand descriptors were promised is looked through by nobody.
      for handle in state.handles.suffix(64).reversed() where !handle.isReader {
        if let length = handle.promisedLength { return length }
      }
      return nil
    }
  }

  // MARK: the pages

  /// Whether a text of `length` bytes may go into the kernel's pages for `handle`.
  ///
  /// Not while somebody else has the node open who may look at the pages, too, which whoever reads by `read(2)` does not;
  /// and not when the kernel would cut it. Where it believes in a longer text, the short answer tells it better.
  func lend(to handle: ReadHandle, length: Int) -> Bool {
    state.withLock {
      guard $0.told >= length, $0.lender == nil || $0.lender == ObjectIdentifier(handle),
        $0.handles.allSatisfy({ $0 === handle || $0.isReader })
      else { return false }
      $0.lender = ObjectIdentifier(handle)
      $0.told = length
      return true
    }
  }
}

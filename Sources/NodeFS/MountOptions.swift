// SPDX-License-Identifier: Apache-2.0

/// How a tree is mounted.
public struct MountOptions: Sendable {
  /// What the mount is called: its type is `fuse.<name>`, its source `<name>:<pid>` (`findmnt -t fuse.<name>`).
  ///
  /// The pid in the source is how a second start learns who serves already, without touching the mount. Letters, digits,
  /// `-`, `_` and `.` only.
  public var name: String
  /// Lets other users in, as far as modes and owners of the nodes allow. Without it only the user who mounted may
  /// look, which includes root. Users other than root need `user_allow_other` in `/etc/fuse.conf`.
  public var allowOther: Bool
  /// Serving threads. None is ever held by a blocking read, and one serves everybody as long as it gets on, because
  /// threads that are woken in turn each find their core's caches cold (open+read+close: 36 us with one, 46 us with
  /// two). The others take over, one after the other, when a handler holds it for more than a few milliseconds.
  public var threads: Int
  /// How long `stop()` waits for handlers that hang before it cuts the connection.
  public var patience: Duration
  /// Called once, on a thread of NodeFS, when the mount was taken away by somebody else (`umount`, an aborted
  /// connection). `stop()` must still be called, and not from inside.
  public var onUnmounted: (@Sendable () -> Void)?

  public init(
    name: String, allowOther: Bool = false, threads: Int = 3, patience: Duration = .seconds(1.5),
    onUnmounted: (@Sendable () -> Void)? = nil
  ) {
    self.name = name
    self.allowOther = allowOther
    self.threads = threads
    self.patience = patience
    self.onUnmounted = onUnmounted
  }
}

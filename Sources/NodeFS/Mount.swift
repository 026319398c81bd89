// SPDX-License-Identifier: Apache-2.0

/// A tree that is served at a mount point.
public final class Mount: Sendable {
  /// How serving ended.
  public enum Ending: Sendable, Hashable {
    /// Every request was answered, the mount is gone.
    case clean
    /// Handlers did not come back: the connection was cut and the mount taken away all the same. Their threads still
    /// hang; the process should exit.
    case forced(hungThreads: Int)
  }

  /// Mounts `tree` on the directory `path` and serves it from threads of its own. Returns when the tree answers.
  ///
  /// A dead mount of the same name at `path` (its process was killed) is taken away first. The calling process must
  /// never touch the tree through the mount itself.
  public static func start(_ tree: NodeTree, at path: String, options: MountOptions) throws(MountError) -> Mount {
    throw .badOptions("not yet")
  }

  /// Ends serving: parked requests are answered with `ENODEV`, the mount is taken away, also when a handler hangs.
  /// Returns within about 3 s. May be called from any thread but a handler's; more than once.
  @discardableResult
  public func stop() -> Ending { .clean }
}

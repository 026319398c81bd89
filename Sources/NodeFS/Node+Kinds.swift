// SPDX-License-Identifier: Apache-2.0

extension Node {
  /// Default for how long a parked write may take before the caller gets `ETIMEDOUT`.
  public static let defaultDeadline: Duration = .seconds(2)

  /// Read-only text, mode 0444 unless another is given. Opening it for writing is refused with `EACCES`, for root too.
  ///
  /// - Parameter render: Appends the whole text. Runs when the file is read at offset 0, or for `stat(2)`, which tells who has
  ///   it open the length of what he then reads; reads at other offsets slice the text of that moment. An error thrown is the
  ///   error `read(2)` returns. It must have no side effect, and it must not block: unlike a parked write or stream, a reader in
  ///   a render cannot be interrupted.
  ///
  /// - Parameter preparation: what must be there before `render` is called for a reader.
  public static func text(
    owner: Owner? = nil, mode: UInt32 = 0o444, preparation: Preparation? = nil, render: @escaping Render
  ) -> Node {
    Node(kind: .text(render), permissions: mode & 0o777, owner: owner, preparation: preparation)
  }

  /// Text that can be written, mode 0644. One `write(2)` is one command; `O_TRUNC` and the offset mean nothing.
  ///
  /// - Parameters:
  ///   - limit: The longest write in bytes; a longer one is refused with `E2BIG` before the handler sees it. A write
  ///     arrives in one piece up to 256 KiB, which is also the highest limit.
  ///   - wholeWrites: Refuse a write at any offset but 0 with `EINVAL`. For texts longer than a pipe's or a
  ///     shell's buffer, where a second piece must not be taken for a second command.
  ///   - deadline: When the caller is answered `ETIMEDOUT` if nobody has answered; the work goes on.
  ///   - preparation: As in `text`.
  ///   - render: As in `text`.
  ///   - write: Parses, checks, applies, and answers through `request.reply`, at once or later. Throwing answers, too.
  ///     A refused write must change nothing: writers send it twice.
  public static func setting(
    owner: Owner? = nil, mode: UInt32 = 0o644, limit: Int = 4096, wholeWrites: Bool = false,
    deadline: Duration = defaultDeadline, preparation: Preparation? = nil,
    render: @escaping Render, write: @escaping @Sendable (WriteRequest) throws -> Void
  ) -> Node {
    Node(
      kind: .setting(render, Command(limit: limit, wholeWrites: wholeWrites, deadline: deadline, run: write)),
      permissions: mode & 0o777, owner: owner, preparation: preparation)
  }

  /// A node that only takes writes, mode 0200; it reads as empty.
  /// Parameters as in `setting`.
  public static func command(
    owner: Owner? = nil, mode: UInt32 = 0o200, limit: Int = 4096, wholeWrites: Bool = false,
    deadline: Duration = defaultDeadline, write: @escaping @Sendable (WriteRequest) throws -> Void
  ) -> Node {
    Node(
      kind: .command(Command(limit: limit, wholeWrites: wholeWrites, deadline: deadline, run: write)),
      permissions: mode & 0o777, owner: owner)
  }

  /// A stream of bytes with a cursor for each open, mode 0400, not seekable (`ESPIPE`).
  ///
  /// `read(2)` blocks until there is something, without holding a serving thread; with `O_NONBLOCK` it returns
  /// `EAGAIN`. The node answers to its name but is **not listed** in its directory, so that `grep -r`, `cp -r` and
  /// `find -exec cat` over the tree end.
  ///
  /// - Parameter open: Makes the cursor of one reader; throwing fails `open(2)`.
  public static func stream(
    owner: Owner? = nil, mode: UInt32 = 0o400,
    open: @escaping @Sendable (StreamOpening) throws -> any StreamCursor
  ) -> Node {
    Node(kind: .stream(open), permissions: mode & 0o777, owner: owner)
  }

  /// Bytes made when the node is opened, mode 0400. `open(2)` waits, without holding a serving thread.
  ///
  /// - Parameters:
  ///   - deadline: When `open(2)` fails with `ETIMEDOUT`; the making goes on and serves later openers. Long by itself: on
  ///     a busy board a thread that gives way to the pipeline is slow, and who waits can be interrupted.
  ///   - make: Starts making one picture and answers through `request.reply` from any thread. It is never called again
  ///     before it has answered: who opens the node meanwhile gets the same picture.
  public static func picture(
    owner: Owner? = nil, mode: UInt32 = 0o400, deadline: Duration = .seconds(30),
    make: @escaping @Sendable (PictureRequest) throws -> Void
  ) -> Node {
    Node(kind: .picture(PictureDesk(deadline: deadline, make: make)), permissions: mode & 0o777, owner: owner)
  }

  /// A node that takes a whole file, mode 0200: written in order from offset 0, delivered when it is closed.
  ///
  /// A write that is not at the end of what came before is refused with `EINVAL`, one that exceeds `limit` with
  /// `E2BIG`, one for which all that are being written leave no room with `ENOMEM`. After a refused write nothing is delivered, and
  /// where nothing was written only what `O_TRUNC` emptied: no bytes. `close(2)` does not wait for `deliver` and does not show its outcome.
  ///
  /// - Parameter room: what blobs being written may hold together; `nil`: as much as their limits let them.
  public static func blob(
    owner: Owner? = nil, mode: UInt32 = 0o200, limit: Int = 16 << 20, room: BlobRoom? = nil,
    deliver: @escaping @Sendable (BlobDelivery) -> Void
  ) -> Node {
    Node(kind: .blob(Blob(limit: limit, room: room, deliver: deliver)), permissions: mode & 0o777, owner: owner)
  }

  /// Takes a stream of bytes, mode 0200, not seekable; who only reads gets nothing and takes no writer's place. A write that finds no room waits without holding a serving thread
  /// until all of it is taken (`O_NONBLOCK`: takes what fits, `EAGAIN` when nothing does).
  ///
  /// - Parameter open: Called for each `open(2)`; an error thrown (`EBUSY` where there is a writer) is that of `open(2)`.
  public static func sink(
    owner: Owner? = nil, mode: UInt32 = 0o200, open: @escaping @Sendable (SinkOpening) throws -> any SinkCursor
  ) -> Node {
    Node(kind: .sink(open), permissions: mode & 0o777, owner: owner)
  }

  /// A symbolic link. Needed to show a *directory* under a second name; files can simply be added twice.
  public static func symlink(to target: String, owner: Owner? = nil) -> Node {
    Node(kind: .symlink(target), permissions: 0o777, owner: owner)
  }

  /// How a node takes a write.
  struct Command: Sendable {
    static let highestLimit = 256 << 10
    let limit: Int
    let wholeWrites: Bool
    let deadline: Duration
    let run: @Sendable (WriteRequest) throws -> Void

    init(limit: Int, wholeWrites: Bool, deadline: Duration, run: @escaping @Sendable (WriteRequest) throws -> Void) {
      self.limit = min(limit, Self.highestLimit)
      self.wholeWrites = wholeWrites
      self.deadline = deadline
      self.run = run
    }
  }

  struct Blob: Sendable {
    let limit: Int
    let room: BlobRoom?
    let deliver: @Sendable (BlobDelivery) -> Void
  }
}

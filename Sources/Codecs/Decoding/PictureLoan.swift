// SPDX-License-Identifier: Apache-2.0
#if FFmpeg
  import CMediaFile
  import MediaCore
  import Synchronization

  /// One buffer of the pool while the library refers to it. Made once for each buffer and used again.
  ///
  /// Ownership: the library holds a reference count of this object from `lend` to `end`; the loan holds a use of the
  /// buffer for as long.
  final class PictureLoan: Sendable {
    private let held = Mutex<BufferRef?>(nil)

    func begin(_ ref: consuming BufferRef) {
      var ref: BufferRef? = ref
      held.withLock { swap(&$0, &ref) }
    }

    /// Another use of the buffer, for the frame that is handed on.
    func share(as user: UserSlot) -> BufferRef? {
      held.withLock { held in
        switch held {
        case .some(let ref): ref.share(as: user)
        case .none: nil
        }
      }
    }

    /// The library no longer refers to the buffer.
    func end() {
      // Given back outside the lock: the pool may wake somebody.
      let gone = held.withLock { $0.take() }
      _ = consume gone
    }
  }

  /// Lends the pool's buffers to the library. One thread.
  final class PictureLoans: @unchecked Sendable {
    private let pictures: PicturePool
    private var pool: Pool?
    /// By the buffer's index in `pool`.
    private var loans: [PictureLoan] = []

    init(_ pictures: PicturePool) { self.pictures = pictures }

    /// Memory for a picture; none when the graph holds all of it, or there is none to be had.
    func lend(_ request: mpifs_picture_request) -> mpifs_picture_memory {
      let none = mpifs_picture_memory()
      guard request.size > 0, let size = Int(exactly: request.size) else { return none }
      do throws(Failure) {
        try pictures.prepare(size: size, references: Int(request.references))
      } catch {
        return none
      }
      if pool !== pictures.pool {
        pool = pictures.pool
        loans = (0..<(pool?.buffers.count ?? 0)).map { _ in PictureLoan() }
      }
      guard let ref = pictures.takeNow() else { return none }
      let buffer = ref.buffer
      guard buffer.index < loans.count else { return none }
      let base: UnsafeMutableRawPointer
      do throws(Failure) {
        base = try buffer.memory.map()
        try buffer.memory.beginCPUAccess(write: true)
      } catch {
        return none
      }
      let loan = loans[buffer.index]
      loan.begin(ref)
      return mpifs_picture_memory(
        base: base.assumingMemoryBound(to: UInt8.self), owner: Unmanaged.passRetained(loan).toOpaque())
    }
  }
#endif

// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization
import SystemPackage

/// Makes `snapshot.jpg` and `snapshot.yuv` of nodes on one thread of low priority; at most one of each in flight for a node.
///
/// A request takes the next frame that passes the node. The thread is made at the first request.
final class SnapshotService: Sendable {
  typealias Reply = @Sendable (Result<[UInt8], Failure>) -> Void
  /// How long the encoder and its work memory are kept for the next picture, nanoseconds: a picture of 8K needs 100 MB.
  static let keeping = Int64.seconds(1)

  private struct Job: ~Copyable {
    let frame: Frame
    let form: SnapshotForm
    let path: ObjectPath
    let tap: FrameTap
    let reply: Reply
  }

  private struct Waiting {
    let path: ObjectPath
    let form: SnapshotForm
    let tap: FrameTap
    var deadline: Int64
    let reply: Reply
    var key: Key { Key(tap: ObjectIdentifier(tap), form: form) }
  }

  /// By tap, so that an object that was made anew under a path does not wait for the one before.
  private struct Key: Hashable {
    let tap: ObjectIdentifier
    let form: SnapshotForm
  }

  private struct State {
    var isStarted = false
    var isClosing = false
    var busy: Set<Key> = []
    var waiting: [Waiting] = []
    var jobs: [JobBox] = []
  }

  /// A frame on its way to the thread; taken out exactly once.
  private final class JobBox: Sendable {
    private let job: Mutex<Job?>
    init(_ job: consuming Job) { self.job = Mutex(job) }
    func take() -> Job? {
      job.withLock { job in job.take() }
    }
  }

  private let make: (@Sendable () throws(Failure) -> any PictureEncoder)?
  private let packed: (@Sendable (borrowing Frame) throws(Failure) -> [UInt8])?
  /// How long a frame is waited for, nanoseconds.
  private let patience: Int64
  private let state = Monitor(State())

  init(
    _ make: (@Sendable () throws(Failure) -> any PictureEncoder)?,
    packed: (@Sendable (borrowing Frame) throws(Failure) -> [UInt8])? = nil, patience: Int64 = .seconds(2)
  ) {
    self.patience = patience
    self.make = make
    self.packed = packed
  }

  /// `reply` is called once, from another thread or, on an immediate refusal, from this one.
  func request(_ path: ObjectPath, _ form: SnapshotForm = .jpeg, tap: FrameTap, reply: @escaping Reply) {
    guard form == .raw ? packed != nil : make != nil else {
      let lacking = form == .raw ? "nothing that reads pixels" : "no JPEG encoder"
      reply(.failure(Failure(.notSupported, "snapshot", on: "\(path)", "this build has \(lacking)")))
      return
    }
    do throws(Failure) {
      try enter(Waiting(path: path, form: form, tap: tap, deadline: Clock.now() + patience, reply: reply))
    } catch {
      reply(.failure(error))
    }
  }

  /// Whole or not at all: what waits has a thread to answer it and a place in the tap.
  private func enter(_ request: Waiting) throws(Failure) {
    let path = request.path
    let failure = state.change { state -> Failure? in
      if state.isClosing { return Failure(.canceled, "snapshot", on: "\(path)", "the program ends") }
      let busy = Failure(.resourceBusy, "snapshot", on: "\(path)", "one is being made")
      guard !state.busy.contains(request.key) else { return busy }
      if !state.isStarted {
        do throws(Failure) { try start() } catch { return error }
        state.isStarted = true
      }
      let placed = request.tap.request(request.form) { [self] frame in
        let job = JobBox(
          Job(frame: frame, form: request.form, path: path, tap: request.tap, reply: request.reply))
        self.state.change { state in
          state.waiting.removeAll { $0.key == request.key }
          state.jobs.append(job)
        }
      }
      guard placed else { return busy }
      state.busy.insert(request.key)
      state.waiting.append(request)
      return nil
    }
    if let failure { throw failure }
  }

  /// What waits is refused by the thread, which ends.
  func close() {
    state.change { state in
      state.isClosing = true
      for index in state.waiting.indices { state.waiting[index].deadline = 0 }
    }
  }

  private func release(_ tap: FrameTap, _ form: SnapshotForm) {
    _ = state.withLock { $0.busy.remove(Key(tap: ObjectIdentifier(tap), form: form)) }
  }

  private func start() throws(Failure) {
    _ = try Thread.start("snapshot") { [self] in
      // Pictures never compete with the pipeline.
      Thread.giveWay()
      run()
    }
  }

  private enum Next {
    case job(JobBox)
    case expired([Waiting])
    case wait(Int64)
    case end
  }

  private func next() -> Next {
    let now = Clock.now()
    return state.withLock { state in
      if !state.jobs.isEmpty { return .job(state.jobs.removeFirst()) }
      let expired = state.waiting.filter { $0.deadline <= now }
      if !expired.isEmpty {
        state.waiting.removeAll { $0.deadline <= now }
        return .expired(expired)
      }
      if state.isClosing { return .end }
      return .wait(state.waiting.map(\.deadline).min() ?? now + .seconds(60))
    }
  }

  private func run() {
    var encoder: (any PictureEncoder)?
    var usedAt: Int64 = 0
    while true {
      if encoder != nil, Clock.now() - usedAt >= Self.keeping {
        encoder = nil
        Heap.trimSoon()
      }
      switch next() {
      case .job(let box):
        guard let job = box.take() else { continue }
        let result = job.form == .raw ? pixels(job.frame, job.tap, job.path) : picture(job.frame, &encoder, job.path)
        usedAt = Clock.now()
        release(job.tap, job.form)
        job.reply(result)
      case .expired(let requests):
        for request in requests where request.tap.withdraw(request.form) {
          release(request.tap, request.form)
          request.reply(
            .failure(
              request.deadline == 0
                ? Failure(.canceled, "snapshot", on: "\(request.path)", "the program ends")
                : Failure(
                  .resourceTemporarilyUnavailable, "snapshot", on: "\(request.path)",
                  "no frame came within \(patience / .seconds(1)) s")))
        }
      case .wait(let deadline):
        // Until something comes that `next` did not find, which it then takes.
        _ = state.wait(until: encoder == nil ? deadline : min(deadline, usedAt + Self.keeping)) { state -> Bool? in
          state.isClosing || !state.jobs.isEmpty || state.waiting.contains { $0.deadline < deadline } ? true : nil
        }
      case .end:
        return
      }
    }
  }

  private func pixels(_ frame: borrowing Frame, _ tap: FrameTap, _ path: ObjectPath) -> Result<[UInt8], Failure> {
    do throws(Failure) {
      guard let packed else { throw Failure(.notSupported, "snapshot", on: "\(path)") }
      let bytes = try packed(frame)
      tap.rawFact = frame.layout.rawFact(bytes: bytes.count)
      return .success(bytes)
    } catch {
      return .failure(error)
    }
  }

  private func picture(
    _ frame: borrowing Frame, _ encoder: inout (any PictureEncoder)?, _ path: ObjectPath
  ) -> Result<[UInt8], Failure> {
    do throws(Failure) {
      guard let make else { throw Failure(.notSupported, "snapshot", on: "\(path)") }
      let engine: any PictureEncoder
      if let encoder { engine = encoder } else { engine = try make() }
      encoder = engine
      return .success(try engine.jpeg(frame, quality: 85))
    } catch {
      return .failure(error)
    }
  }
}

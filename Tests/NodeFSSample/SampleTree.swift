// SPDX-License-Identifier: Apache-2.0
import Glibc
import NodeFS
import Synchronization

/// The sample's nodes. Each part of the tree is built in a function of its own below and in `SampleTree+Objects`.
final class SampleTree: Sendable {
  let tree: NodeTree
  let level = Mutex<Int>(50)
  let presses = Mutex<Int>(0)
  let whole = Mutex<[UInt8]>([])
  let upload = Mutex<[UInt8]>([])
  let pictures = Mutex<Int>(0)
  let feed = Feed()
  let drain = Drain()
  let kept = Mutex<[Reply]>([])

  /// For whom nobody answers: a deadline that passes while others look whether he waits would end what they look at.
  static let longWait: Duration = .seconds(600)

  init() {
    let log = RefusalLog()
    // The hooks of a directory get the directory with each request, so they need not know the sample.
    tree = NodeTree { log.add($0) }
    self.log = log
  }

  let log: RefusalLog

  func build() throws {
    try addTexts()
    try addWritables()
    try addStreams()
    try addObjects()
  }

  private func addTexts() throws {
    let root = tree.root
    let hello = Node.text { $0.append("hello, world\n") }
    try root.add("hello", hello).add("hello_again", hello).add("link", .symlink(to: "hello"))
    try root.add(
      "uptime",
      .text { out in
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        out.append(decimal: now.tv_sec)
        out.append(".")
        out.append(decimal: now.tv_nsec / 10_000_000)
        out.append("\n")
      })
    // Every line names its render, so that a torn text shows.
    let renders = Mutex(0)
    try root.add(
      "big",
      .text { out in
        let render = renders.withLock {
          $0 += 1
          return $0
        }
        for line in 0..<5000 {
          out.append("render ")
          out.append(decimal: render)
          out.append(" line ")
          out.append(decimal: line)
          out.append("\n")
        }
      })
    // Each text is longer than the one before.
    let growth = Mutex(0)
    try root.add(
      "growing",
      .text { out in
        let lines = growth.withLock {
          $0 += 1
          return $0
        }
        for _ in 0..<lines {
          out.append("of ")
          out.append(decimal: lines)
          out.append("\n")
        }
      })
    try root.add("empty", .text { _ in })
    try root.add("failing", .text { _ in throw NodeError(.ioError, "this node always fails") })
    try root.add(
      "stats",
      .text { [self] out in
        let activity = tree.activity
        for (name, count) in activity.requests.sorted(by: { $0.key < $1.key }) {
          out.append("requests_\(name): \(count)\n")
        }
        for (errno, count) in activity.failures.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
          out.append("failures_\(errno.rawValue): \(count)\n")
        }
        out.append("parked: \(activity.parked)\nrenders: \(activity.renders)\n")
        out.append("bytes_read: \(activity.bytesRead)\nbytes_written: \(activity.bytesWritten)\n")
        out.append("interrupts: \(activity.interrupts)\ntimeouts: \(activity.timeouts)\n")
        out.append("pictures: \(pictures.withLock { $0 })\npresses: \(presses.withLock { $0 })\n")
        out.append("cursors: \(feed.cursorCount)\ndrain_writers: \(drain.writerCount)\n")
      })
    try root.add("refusals", .text { [log] out in for line in log.lines { out.append("\(line)\n") } })
  }

  private func addWritables() throws {
    let root = tree.root
    try root.add(
      "level",
      .setting { [self] out in
        out.append(decimal: level.withLock { $0 })
        out.append("\n")
      } write: { [self] request in
        guard let value = Int(line(request.bytes)) else { throw NodeError(.invalidArgument) }
        guard (0...100).contains(value) else { throw NodeError(.outOfRange) }
        level.withLock { $0 = value }
        request.reply.succeed()
      })
    try root.add(
      "whole",
      .setting(limit: 128 << 10, wholeWrites: true) { [self] out in
        out.append(contentsOf: whole.withLock { $0 })
      } write: { [self] request in
        whole.withLock { $0 = request.bytes }
        request.reply.succeed()
      })
    try root.add(
      "press",
      .command { [self] request in
        presses.withLock { $0 += 1 }
        request.reply.succeed()
      })
    // Answers after as many milliseconds as were written, from another thread.
    try root.add(
      "later",
      .command { request in
        guard let delay = UInt32(line(request.bytes)) else { throw NodeError(.invalidArgument) }
        Background.run {
          usleep(delay * 1000)
          request.reply.succeed()
        }
      })
    try root.add("never", .command { [self] request in kept.withLock { $0.append(request.reply) } })
    try root.add("forgetful", .command { _ in })
    // Breaks the rule that handlers do not block, to show that stopping works all the same.
    try root.add("hang", .command(deadline: Self.longWait) { _ in while true { sleep(1000) } })
    try root.add(
      "upload", .blob(limit: 1 << 20) { [self] delivery in upload.withLock { $0 = delivery.bytes } })
    try root.add(
      "uploaded",
      .text { [self] out in
        let bytes = upload.withLock { $0 }
        out.append("bytes: \(bytes.count)\nsum: \(bytes.reduce(0) { $0 &+ UInt64($1) })\n")
      })
  }

  private func addStreams() throws {
    let root = tree.root
    try root.add(
      "feed",
      .command { [feed] request in
        feed.send(request.bytes)
        request.reply.succeed()
      })
    try root.add(
      "finish",
      .command { [feed] request in
        feed.finish()
        request.reply.succeed()
      })
    try root.add("stream", .stream { [feed] in feed.open($0) })
    try root.add("drain", .sink { [drain] in try drain.open($0) })
    // Takes as many bytes as are written here, from then on.
    try root.add(
      "drain_more",
      .command { [drain] request in
        guard let count = Int(line(request.bytes)), count >= 0 else { throw NodeError(.invalidArgument) }
        drain.makeRoom(count)
        request.reply.succeed()
      })
    try root.add(
      "drained",
      .text { [drain] out in
        let (bytes, sum, writers) = drain.figures
        out.append("bytes: \(bytes)\nsum: \(sum)\nwriters: \(writers)\n")
      })
    let silence = Feed()
    try root.add("silent", .stream { silence.open($0) })
    try root.add(
      "picture.ppm",
      .picture { [self] request in
        Background.run { [self] in
          usleep(100_000)
          let number = pictures.withLock {
            $0 += 1
            return $0
          }
          // No two are equally long.
          let comment = String(repeating: "#", count: number) + " picture \(number)"
          request.reply.succeed(Array("P6 1 1 255\n\(comment)\nabc".utf8))
        }
      })
    try root.add(
      "no_picture", .picture(deadline: .seconds(1)) { [self] request in late.withLock { $0.append(request.reply) } })
  }

  let late = Mutex<[PictureReply]>([])
}

/// The text of a write without its one trailing newline.
func line(_ bytes: [UInt8]) -> String {
  String(decoding: bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...], as: UTF8.self)
}

/// What NodeFS refused, newest last.
final class RefusalLog: Sendable {
  private let entries = Mutex<[String]>([])

  func add(_ refusal: Refusal) {
    let line = "\(refusal.path): \(refusal.operation.rawValue): errno \(refusal.error.errno.rawValue)"
    entries.withLock {
      if $0.count == 256 { $0.removeFirst() }
      $0.append(line)
    }
  }

  var lines: [String] { entries.withLock { $0 } }
}

/// Work off the serving threads.
enum Background {
  static func run(_ body: @escaping @Sendable () -> Void) {
    let box = Unmanaged.passRetained(Box(body))
    var thread = pthread_t()
    let error = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
    guard error == 0 else { return box.release() }
    pthread_detach(thread)
  }

  private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}

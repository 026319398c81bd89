// SPDX-License-Identifier: Apache-2.0
import Glibc
import NodeFS
import Synchronization

/// `objects/`: one directory per object, made by `mkdir` and by the program, removed by `rmdir` and by the program.
extension SampleTree {
  func addObjects() throws {
    let objects = Directory(deadline: Self.longWait) { [self] request in
      // Never answered, to show what a `mkdir` that waits does to others.
      if request.name == "999" { return kept.withLock { $0.append(request.reply) } }
      guard Int(request.name) != nil else { throw NodeError(.invalidArgument, "objects have numbers") }
      try request.directory.add(request.name, Self.object(request.name))
      request.reply.succeed()
    } remove: { request in
      guard request.name != "0" else { throw NodeError(.resourceBusy, "object 0 is in use") }
      request.directory.remove(request.name)
      request.reply.succeed()
    }
    try objects.add("0", Self.object("0"))
    try tree.root.add("objects", objects)
    // `make 7` and `drop 7`: objects that come and go without the kernel's doing.
    try tree.root.add(
      "control",
      .command { request in
        let words = line(request.bytes).split(separator: " ").map(String.init)
        guard words.count == 2 else { throw NodeError(.invalidArgument) }
        switch words[0] {
        case "make": try objects.add(words[1], Self.object(words[1]))
        case "drop":
          guard objects.remove(words[1]) != nil else { throw NodeError(.noSuchFileOrDirectory) }
        case "renew":
          objects.remove(words[1])
          try objects.add(words[1], Self.object(words[1]))
        default: throw NodeError(.invalidArgument)
        }
        request.reply.succeed()
      })
    // Makes and removes objects 100 to 131 all the time, until `0` is written.
    let isChurning = Mutex(false)
    try tree.root.add(
      "churn",
      .command { request in
        let wanted = line(request.bytes) == "1"
        let wasOn = isChurning.withLock { isOn in
          defer { isOn = wanted }
          return isOn
        }
        if wanted, !wasOn {
          Background.run {
            var round = 0
            while isChurning.withLock({ $0 }) {
              let name = String(100 + round % 32)
              if objects.remove(name) == nil { _ = try? objects.add(name, Self.object(name)) }
              round += 1
              usleep(200)
            }
          }
        }
        request.reply.succeed()
      })
  }

  static func object(_ name: String) -> Directory {
    let value = Mutex(0)
    let object = Directory()
    let feed = Feed()
    // A new directory takes every new name.
    _ = try? object.add("name", .text { $0.append("\(name)\n") })
    _ = try? object.add(
      "value",
      .setting { out in
        out.append(decimal: value.withLock { $0 })
        out.append("\n")
      } write: { request in
        guard let new = Int(line(request.bytes)) else { throw NodeError(.invalidArgument) }
        value.withLock { $0 = new }
        request.reply.succeed()
      })
    _ = try? object.add("stream", .stream { feed.open($0) })
    return object
  }
}

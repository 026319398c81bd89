// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Time from starting the program to the first bytes of an encoded frame in a reader's hands: process start, mount,
/// pipeline and one encoding, seen from outside.
enum FirstFrame {
  static func run(_ options: Options) throws(BenchError) {
    let mount = try options.required("--mount")
    let program = try options.required("--program")
    let input = options.text("--input") ?? "pattern"
    let name = options.text("--name") ?? "pattern"
    var times = Samples()
    for _ in 0..<(try options.count("--rounds", 7)) { times.append(try start(program, mount, input)) }
    report("start.\(name).first_frame", times.median, "ms")
    report("start.\(name).first_frame_max", times.quantile(1), "ms")
  }

  /// One start; in milliseconds.
  private static func start(_ program: String, _ mount: String, _ input: String) throws(BenchError) -> Double {
    let began = now()
    let process = try spawn([program, "--at", mount, "--input", input])
    defer {
      kill(process, SIGTERM)
      var status: Int32 = 0
      waitpid(process, &status, 0)
    }
    let path = mount + "/venc/0/stream"
    var byte: UInt8 = 0
    while now() - began < patience {
      let file = open(path, O_RDONLY)
      if file >= 0 {
        let count = read(file, &byte, 1)
        let time = now()
        close(file)
        if count == 1 { return Double(time - began) / 1e6 }
        // The channel is there before it is started: until then there is nothing to read.
      }
      usleep(200)
    }
    throw BenchError("no frame within \(patience / 1_000_000_000) s from \(path)")
  }

  private static func spawn(_ command: [String]) throws(BenchError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // What it prints must not stand between the figures.
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    var arguments = command.map { strdup($0) }
    defer { for argument in arguments { free(argument) } }
    arguments.append(nil)
    var process: pid_t = 0
    let status = posix_spawn(&process, command[0], &actions, nil, arguments, environ)
    guard status == 0 else { throw BenchError(errno: status, "start", command[0]) }
    return process
  }
}

// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import MediaCore
import NodeText

extension Dialect: ExpressibleByArgument {}

/// The command line.
@main
struct Options: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mpifs",
    abstract: "Runs a media pipeline and serves everything inside it as live text files.",
    discussion: """
      The tree is served until Ctrl-C or SIGTERM. Read its files with cat, change settings with echo; 'cat DIR/help' \
      lists every attribute.
      """,
    version: Version.text)

  @Option(
    help: ArgumentHelp(
      "Where to mount. Default: /mpi as root, $XDG_RUNTIME_DIR/mpi otherwise. Created if missing.", valueName: "DIR"))
  var at: String?

  @Option(
    help: ArgumentHelp(
      "Input of vi/0: pattern, file:/path or a path to a media file, or /dev/videoN. Default: the first camera, else "
        + "pattern.", valueName: "SPEC"))
  var input: String?

  @Option(
    help: ArgumentHelp(
      "Configuration in place of the default one: a file of 'path = value' lines; none starts empty.",
      valueName: "FILE"))
  var load: String?

  @Option(help: ArgumentHelp("Generation of the vendor's text.", valueName: "NAME"))
  var dialect: Dialect = .rockit1432

  @Option(
    help: ArgumentHelp(
      "Bytes all media buffers together may take. Default: half of what the machine has free at the start.",
      valueName: "BYTES"))
  var memoryLimit: Int?

  @Flag(help: "Let other users read the text nodes (needs root, or user_allow_other in /etc/fuse.conf).")
  var allowOther = false

  @Flag(help: "Link /dev/mpi to the tree, so that the vendor's scripts find their nodes (root).")
  var vendorPaths = false

  @Flag(help: "Sources run as fast as the slowest receiver takes frames, and nothing is dropped: for benchmarks.")
  var unthrottled = false

  @Option(
    help: ArgumentHelp("In place of the machine's: a folder with proc, sys and dev, for tests.", visibility: .hidden))
  var kernelRoot: String?

  static func main() {
    guard let arguments = Arguments.given else {
      Program.complain("the command line cannot be read: /proc is missing")
      Glibc.exit(2)
    }
    main(arguments)
  }

  func validate() throws {
    if input == "" || input == "file:" { throw ValidationError("--input: give pattern, a media file or /dev/videoN") }
    if let at, at.isEmpty { throw ValidationError("--at: give a directory") }
    if let memoryLimit, memoryLimit < 1 << 20 { throw ValidationError("--memory-limit: give at least 1048576 bytes") }
    if load == "" { throw ValidationError("--load: give a file, or none") }
  }

  func run() throws {
    let signals = try EndSignals()
    let status = Program(options: self, signals: signals).run()
    if status != 0 { throw ExitCode(status) }
  }

  /// The directory to mount at, absolute.
  func mountPoint() throws(StartFailure) -> String {
    if let at { return try Self.absolute(at, option: "--at") }
    if geteuid() == 0 { return "/mpi" }
    guard let runtime = getenv("XDG_RUNTIME_DIR").map({ String(cString: $0) }), runtime.hasPrefix("/") else {
      throw StartFailure("XDG_RUNTIME_DIR is not set: say where to mount with --at DIR")
    }
    return runtime + "/mpi"
  }

  /// The input as `vi/0/input` takes it: a file named from where the user stands has its whole path.
  func inputText() throws(StartFailure) -> String? {
    guard let input else { return nil }
    if InputSpecification(input) == .pattern { return input }
    let path = input.hasPrefix("file:") ? String(input.dropFirst(5)) : input
    return try Self.absolute(path, option: "--input")
  }

  private static func absolute(_ path: String, option: String) throws(StartFailure) -> String {
    if path.hasPrefix("/") { return path }
    guard let here = getcwd(nil, 0) else { throw StartFailure("\(option) \(path): the current directory is gone") }
    defer { free(here) }
    return String(cString: here) + "/" + path
  }
}

/// Why the program could not start; one line for stderr.
struct StartFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

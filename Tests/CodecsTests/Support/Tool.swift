// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Runs a program of FFmpeg's as a child process; what it says is the second opinion in these tests.
enum Tool {
  struct Result {
    var status: Int32
    var output: Data
    var errors: String
    var text: String { String(decoding: output, as: UTF8.self) }
  }

  static func run(_ name: String, _ arguments: [String], input: Data? = nil) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "mpifs-tool-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [name] + arguments
    // Files rather than pipes: nothing can fill up while the child runs.
    func file(_ name: String, _ content: Data) throws -> FileHandle {
      let url = folder.appending(path: name)
      try content.write(to: url)
      return try FileHandle(forUpdating: url)
    }
    let out = try file("out", Data())
    let err = try file("err", Data())
    process.standardInput = try input.map { try file("in", $0) } ?? FileHandle.nullDevice
    process.standardOutput = out
    process.standardError = err
    try process.run()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: try Data(contentsOf: folder.appending(path: "out")),
      errors: String(decoding: try Data(contentsOf: folder.appending(path: "err")), as: UTF8.self))
  }

  /// Decodes a stream to I420 with all error checks on.
  static func decode(_ stream: Data, _ format: String) throws -> Result {
    try run(
      "ffmpeg",
      [
        "-v", "error", "-err_detect", "+crccheck+bitstream+buffer", "-f", format, "-i", "pipe:0", "-fps_mode",
        "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1",
      ], input: stream)
  }

  /// Picture types in stream order: "I", "P" and whether it is a key picture.
  static func pictures(_ stream: Data, _ format: String) throws -> [(type: String, key: Bool)] {
    let result = try run(
      "ffprobe",
      [
        "-v", "error", "-f", format, "-show_entries", "frame=key_frame,pict_type", "-of", "csv=p=0", "-i", "pipe:0",
      ], input: stream)
    return result.text.split(separator: "\n").map { line in
      let fields = line.split(separator: ",")
      return (String(fields[1]), fields[0] == "1")
    }
  }
}

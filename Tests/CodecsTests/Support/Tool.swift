// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// Runs a program of FFmpeg's as a child process; what it says is the second opinion in these tests.
enum Tool {
  static func run(_ name: String, _ arguments: [String], input: Data? = nil) throws -> Child.Outcome {
    try Child.run([name] + arguments, input: input)
  }

  /// Decodes a stream to I420 with all error checks on.
  static func decode(_ stream: Data, _ format: String) throws -> Child.Outcome {
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

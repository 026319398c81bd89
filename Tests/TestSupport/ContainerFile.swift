// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// What ffprobe finds in a media file.
public enum ContainerFile {
  public struct Packet: Sendable, Equatable {
    /// On the container's clock.
    public var pts: Int
    public var isKey: Bool
    public var size: Int
  }

  public struct ProbeError: Error, CustomStringConvertible {
    public var description: String
  }

  /// The packets of its video, in the order they stand in.
  public static func packets(_ file: String) throws -> [Packet] {
    let outcome = try run(
      "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts,size,flags", "-of",
      "compact=p=0:nk=1", file)
    guard outcome.status == 0, outcome.errors.isEmpty else { throw ProbeError(description: outcome.errors) }
    return outcome.lines.compactMap { line in
      let cells = line.split(separator: "|")
      guard cells.count >= 3, let pts = Int(cells[0]), let size = Int(cells[1]) else { return nil }
      return Packet(pts: pts, isKey: cells[2].hasPrefix("K"), size: size)
    }
  }

  /// Width and height of the pictures that come out of the decoder, and what FFmpeg complains about meanwhile.
  public static func decoded(_ file: String) throws -> (sizes: [String], complaints: String) {
    let outcome = try run(
      "ffprobe", "-v", "error", "-err_detect", "+crccheck+bitstream+buffer", "-select_streams", "v:0", "-show_entries",
      "frame=width,height", "-of", "compact=p=0:nk=1:s=x", file)
    return (outcome.lines.map { $0.split(separator: "x").prefix(2).joined(separator: "x") }, outcome.errors)
  }
}

/// One box of an MP4 file (ISO/IEC 14496-12, 4.2): four letters and what is in it.
public struct MP4Box: Sendable {
  public var name: String
  public var content: Data

  /// The boxes that stand one after the other; `nil` where they do not add up to the bytes.
  /// - Parameter isCutOff: the bytes may end within a box, which is left out.
  public static func all(_ bytes: Data, isCutOff: Bool = false) -> [MP4Box]? {
    var boxes: [MP4Box] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let size = rest.count < 8 ? 8 : Int(number(rest.prefix(4)))
      guard size >= 8 else { return nil }
      guard size <= rest.count else { return isCutOff ? boxes : nil }
      let name = String(decoding: rest.dropFirst(4).prefix(4), as: UTF8.self)
      boxes.append(MP4Box(name: name, content: Data(rest.dropFirst(8).prefix(size - 8))))
      rest = rest.dropFirst(size)
    }
    return boxes
  }

  /// The box at a path of names inside this one.
  public func box(_ path: String...) -> MP4Box? {
    var found: MP4Box? = self
    for name in path { found = found.flatMap { MP4Box.all($0.content)?.first { $0.name == name } } }
    return found
  }

  /// The sample entry of a `moov` with one track, and the box with the decoder's configuration in it (ISO/IEC 14496-15).
  public var sampleEntry: (name: String, width: Int, height: Int, configuration: MP4Box)? {
    guard let stsd = box("trak", "mdia", "minf", "stbl", "stsd"),
      let entry = MP4Box.all(Data(stsd.content.dropFirst(8)))?.first, entry.content.count > 78,
      let configuration = MP4Box.all(Data(entry.content.dropFirst(78)))?.first
    else { return nil }
    let width = MP4Box.number(entry.content.dropFirst(24).prefix(2))
    let height = MP4Box.number(entry.content.dropFirst(26).prefix(2))
    return (entry.name, Int(width), Int(height), configuration)
  }

  /// The decode time a `moof` with one track begins at.
  public var fragmentTime: Int? {
    guard let time = box("traf", "tfdt")?.content, time.count >= 8 else { return nil }
    return Int(MP4Box.number(time.dropFirst(4).prefix(time.first == 1 ? 8 : 4)))
  }

  /// Samples a `moof` with one track has.
  public var sampleCount: Int? {
    guard let run = box("traf", "trun")?.content, run.count >= 8 else { return nil }
    return Int(MP4Box.number(run.dropFirst(4).prefix(4)))
  }

  private static func number(_ bytes: Data) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}

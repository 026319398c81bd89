// SPDX-License-Identifier: Apache-2.0
public import Reports

/// What a channel asks of an encoder: the frames that will come, and the settings its engine obeys. A value: engines compare
/// old and new to see what changed.
public struct EncoderConfiguration: Sendable, Equatable {
  public typealias RateMode = RateControlMode

  public var codec: Codec
  public var width: Int
  public var height: Int
  /// Format of the frames that will come.
  public var format: PixelFormat
  /// Rate of the frames that will come, after frame-rate control.
  public var frameRate: FrameRate
  /// Threads the engine may use; 1 unless asked, since channels already run side by side.
  public var threads: Int
  /// Frames an engine may have inside at once, at least 1; those that do their work within the call have one.
  public var depth: Int
  /// What is done to the frames before they are coded; `width` and `height` are those of what comes of it.
  public var transform = PictureTransform()
  /// What is asked of the engine, by the keys of the settings table.
  public var settings: ObjectSettings

  /// - Parameters:
  ///   - settings: the channel's; those the engine does not obey are left out.
  ///   - obeyed: what the engine obeys for this coding; without it all of them are asked for.
  public init(
    codec: Codec, width: Int, height: Int, format: PixelFormat, frameRate: FrameRate, threads: Int = 1, depth: Int = 1,
    settings: ObjectSettings, obeyed: EngineSettings? = nil
  ) {
    self.codec = codec
    self.width = width
    self.height = height
    self.format = format
    self.frameRate = frameRate
    self.threads = threads
    self.depth = depth
    self.settings = obeyed?.select(settings) ?? settings
    // Every engine has a rate control of some kind, be it one alone.
    self.settings[.rateControl] = settings[.rateControl]
  }

  /// Whether an engine that obeys these settings can go on when this one follows the old one: it was opened for such frames, and
  /// takes what changed while it runs.
  public func isLive(from old: EncoderConfiguration, obeyed: EngineSettings) -> Bool {
    var same = self
    same.settings = old.settings
    if obeyed[.codedRate]?.isLive ?? false { same.frameRate = old.frameRate }
    return same == old
      && (settings[.rateControl] == old.settings[.rateControl]
        || obeyed[SettingKey<String>.rateControl.name]?.isLive ?? false)
      && obeyed.areLive(settings.changes(from: old.settings))
  }

  /// - Parameter format: what the engine takes, which frames of another format were made into before.
  /// - Throws: EINVAL where a frame is not one of those it was opened for.
  public func check(
    _ layout: FrameLayout, as format: PixelFormat, _ operation: String, on engine: String
  ) throws(Failure) {
    guard layout.format == format, Int(layout.width) == width, Int(layout.height) == height else {
      throw Failure(
        .invalidArgument, operation, on: engine,
        "\(layout.format) \(layout.width)x\(layout.height) in a channel of \(format) \(width)x\(height)")
    }
  }

  /// `baseline`, `main`, `high`; empty where the engine chooses.
  public var profile: String {
    guard let profile = settings[.profile], profile != "auto" else { return "" }
    return profile
  }

  /// Frames from one IDR picture to the next; at least 1.
  public var gop: Int {
    if refreshesColumns { return Self.endless }
    return keepsBackground ? backgroundInterval : group
  }

  /// Frames from one beginning of a group to the next: a key picture, a refresh, or a picture predicted from the background alone.
  public var group: Int { max(1, settings[.gop] ?? 60) }
  /// More frames than any stream has.
  static let endless = 1 << 40

  /// Columns of blocks coded without reference go over the picture, in the place of key pictures.
  public var refreshesColumns: Bool { settings[.intraRefresh] == "column" }
  /// A key picture stays a reference, and the first picture of each group is predicted from it alone.
  public var keepsBackground: Bool { settings[.gopMode] == "smartp" }
  /// Frames from one background picture to the next; more than a group.
  public var backgroundInterval: Int {
    max(group + 1, settings[.backgroundInterval] ?? group * Self.usualGroups)
  }
  /// Groups that a background picture serves where nobody says.
  public static let usualGroups = 10
  /// Columns of macroblocks that a picture refreshes while a refresh goes on, rounded up.
  public var refreshedColumns: Int { max(1, (macroblockColumns - 1 + group - 1) / group) }
  public var rateMode: RateMode { settings[.rateControl].flatMap(RateMode.init) ?? .cbr }
  /// Target in kilobits (1000 bits) per second.
  public var bitrate: Int { settings[.bitrate] ?? 2000 }
}

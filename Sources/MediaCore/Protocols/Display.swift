// SPDX-License-Identifier: Apache-2.0

/// The video mode a display is asked for.
public enum DisplayMode: Sendable, Equatable {
  /// The one the monitor prefers.
  case preferred
  /// A size in pixels, and a rate in pictures a second times 1000; without one the preferred or highest.
  case size(width: Int, height: Int, milliHertz: Int?)

  /// `auto`, `1280x720`, `1280x720@60`, `1920x1080@59.94`.
  public init?(_ text: String) {
    if text == "auto" {
      self = .preferred
      return
    }
    let parts = text.split(separator: "@", omittingEmptySubsequences: false)
    let sides = parts[0].split(separator: "x", omittingEmptySubsequences: false)
    guard parts.count <= 2, sides.count == 2, let width = Self.number(sides[0]), let height = Self.number(sides[1]),
      (16...16384).contains(width), (16...16384).contains(height)
    else { return nil }
    var rate: Int?
    if parts.count == 2 {
      let digits = parts[1].split(separator: ".", omittingEmptySubsequences: false)
      guard digits.count <= 2, let whole = Self.number(digits[0]), (1...1000).contains(whole) else { return nil }
      var thousandths = 0
      if digits.count == 2 {
        guard (1...3).contains(digits[1].count), digits[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
          return nil
        }
        thousandths = Int(digits[1] + String(repeating: "0", count: 3 - digits[1].count)) ?? 0
      }
      rate = whole * 1000 + thousandths
    }
    self = .size(width: width, height: height, milliHertz: rate)
  }

  private static func number(_ text: Substring) -> Int? {
    guard (1...5).contains(text.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), text.first != "0" else {
      return nil
    }
    return Int(text)
  }
}

extension DisplayMode: CustomStringConvertible {
  /// Canonical text, as `vo/N/mode` reads back.
  public var description: String {
    guard case .size(let width, let height, let rate) = self else { return "auto" }
    guard let rate else { return "\(width)x\(height)" }
    guard rate % 1000 != 0 else { return "\(width)x\(height)@\(rate / 1000)" }
    var decimals = String(1000 + rate % 1000).dropFirst()
    while decimals.last == "0" { decimals.removeLast() }
    return "\(width)x\(height)@\(rate / 1000).\(decimals)"
  }
}

/// What a channel asks of a display.
public struct DisplayConfiguration: Sendable, Equatable {
  /// `auto`, or the path of a card.
  public var device: String
  /// `auto`, or the name of a connector: `HDMI-A-1`.
  public var connector: String
  public var mode: DisplayMode
  /// Where on the screen pictures are shown; `nil`: all of it, with the shape of the picture kept.
  public var rectangle: Rectangle?
  /// Who asks, for messages to others: `vo/0`.
  public var name: String

  public init(device: String, connector: String, mode: DisplayMode, rectangle: Rectangle?, name: String) {
    self.device = device
    self.connector = connector
    self.mode = mode
    self.rectangle = rectangle
    self.name = name
  }
}

/// What is in use, for reports.
public struct DisplayStatus: Sendable, Equatable {
  /// The card's path and its driver.
  public var device = ""
  public var driver = ""
  public var connector = ""
  /// What the monitor calls itself, where it does.
  public var monitor: String?
  /// `1024x768@60.00`; empty while the screen is off.
  public var mode = ""
  /// Pixels; 0 while the screen is off.
  public var width = 0
  public var height = 0
  /// `primary 32`; empty before the first frame.
  public var plane = ""
  /// Where pictures are shown.
  public var rectangle: Rectangle?
  /// How frames get there, and why not simpler.
  public var way = ""
  public var reason = ""
  /// Whether this program may set modes.
  public var isMaster = false
  public init() {}
}

/// Counters a display keeps; read by reports on any thread.
public struct DisplayCounters: Sendable, Equatable {
  /// Pictures that came onto the screen, as the device said so.
  public var flips: UInt64 = 0
  /// Times the screen was drawn again with the picture it had.
  public var repeatedVblanks: UInt64 = 0
  /// Those of them at which the next picture was due by its time stamp.
  public var missedVblanks: UInt64 = 0
  /// Times the mode was set.
  public var modeSets: UInt64 = 0
  /// Times the screen went away: unplugged, taken by another program, or the card gone.
  public var outages: UInt64 = 0
  /// Times the device did not say within 500 ms that a picture was shown.
  public var timeouts: UInt64 = 0
  /// Buffers of others imported, counted once each.
  public var imports: UInt64 = 0
  public init() {}
}

/// Why a frame that was given to a display did not get onto the screen.
public enum DisplayDrop: Sendable {
  /// A newer one came before its turn.
  case superseded
  /// The device refused it, or there is no screen now.
  case failed
  /// The device did not say within 500 ms that it was shown.
  case timedOut
  /// The screen was let go for another program.
  case released
  /// The display was stopped, or arranged anew.
  case flushed
}

/// Whether a display shows what it is given.
public enum DisplayCondition: Sendable, Equatable {
  case works
  case failed(Failure)
}

/// Hears what becomes of the frames given to a display. Called from the device's thread; must not block and must not
/// call the display.
public protocol DisplayListener: AnyObject, Sendable {
  /// The frame is on the screen since `time` (CLOCK_MONOTONIC nanoseconds).
  func shown(_ frame: borrowing Frame, at time: Int64)
  func dropped(_ cause: DisplayDrop)
  func changed(_ condition: DisplayCondition)
  /// A line for the log.
  func noted(_ text: String)
}

/// A picture that must be made of frames that cannot be shown as they are.
public struct DisplayPicture: Sendable {
  /// Where in the buffer; what lies around it is the frame's border and stays as allocated.
  public var layout: FrameLayout
  /// Bytes a buffer.
  public var bufferSize: Int
  /// Gives memory the display can show, black.
  public var allocator: any Allocator

  public init(layout: FrameLayout, bufferSize: Int, allocator: any Allocator) {
    self.layout = layout
    self.bufferSize = bufferSize
    self.allocator = allocator
  }
}

/// How frames of one layout get onto the screen.
public protocol DisplayWay: AnyObject, Sendable {
  /// The display's at the time the way was found.
  var generation: UInt64 { get }
  /// What is to be made of the frames and given instead; `nil`: they are shown as they are.
  var picture: DisplayPicture? { get }
}

/// A part of a screen that shows frames, the newest first. `way` and `show` are called serially by the channel that owns
/// it; everything else from any thread.
public protocol Display: AnyObject, Sendable {
  var status: DisplayStatus { get }
  var counters: DisplayCounters { get }
  /// Another one when ways found before hold no more.
  var generation: UInt64 { get }

  /// Finds how frames like this one get onto the screen. Asks the device.
  /// - Throws: ENOTSUP, EBUSY no plane is free, ENODEV there is no screen now, what the device says.
  func way(for frame: borrowing Frame) throws(Failure) -> any DisplayWay

  /// Takes a frame to be shown at the next vblank, in place of one that still waits. What becomes of it the listener
  /// hears. Does not block.
  func show(_ frame: consuming Frame, by way: any DisplayWay)

  /// Shows pictures elsewhere from the next one on. Does not block; outside the screen ``way(for:)`` refuses.
  func place(_ rectangle: Rectangle?)

  /// Lets the screen go, as it was before, so that another program can use it. All displays of the card let go.
  func release() throws(Failure)
  /// Takes it again.
  /// - Throws: EBUSY another program has it.
  func acquire() throws(Failure)

  /// Stops, and gives the screen back as it was. Frames that wait are flushed; the listener is not called afterwards.
  func close()
}

/// Opens displays.
public protocol DisplayFactory: Sendable {
  /// Takes a part of a screen. Does device I/O: called on the control lane only.
  /// - Throws: ENODEV no such card or connector, or none has a monitor; EBUSY another program has the card; EINVAL no
  ///   such mode; ERANGE the rectangle is outside the screen; ENOTSUP the driver cannot.
  func open(_ configuration: DisplayConfiguration, listener: any DisplayListener) throws(Failure) -> any Display
}

// SPDX-License-Identifier: Apache-2.0

/// What the parameter sets of a stream are to say about its pictures, whoever coded them.
public struct StreamDescription: Sendable, Equatable {
  public var color: ColorDescription
  /// Left as the engine has it where it is unknown.
  public var aspect: SampleAspect
  /// Rate of the pictures, after frame-rate control.
  public var frameRate: FrameRate

  public init(color: ColorDescription, aspect: SampleAspect, frameRate: FrameRate) {
    self.color = color
    self.aspect = aspect
    self.frameRate = frameRate
  }
}

/// The usability information of a sequence parameter set up to and including its timing (ITU-T H.264, E.1.1; H.265, E.2.1). The two
/// differ in what stands between the signal and the timing, and in how many ticks make a frame.
struct VideoUsability {
  private let isHEVC: Bool
  /// `aspect_ratio_idc`, and the two numbers that follow 255.
  private var aspect: (code: UInt32, width: UInt32, height: UInt32)?
  private var overscan: Bool?
  private var signal: (format: UInt32, isFullRange: Bool, colour: (UInt8, UInt8, UInt8)?)?
  private var chromaLocation: (UInt32, UInt32)?
  /// H.265: neutral chroma, field sequence, frame and field information.
  private var flags: UInt32 = 0
  /// H.265: the default display window.
  private var window: (UInt32, UInt32, UInt32, UInt32)?
  private var timing: (tick: UInt32, scale: UInt32)?
  /// H.264.
  private var hasFixedRate = false
  /// H.265: ticks that one step of the picture order stands for, less one.
  private var orderTicks: UInt32?

  init(isHEVC: Bool) { self.isHEVC = isHEVC }

  /// Reads what follows `vui_parameters_present_flag`; the reader stands behind the timing then.
  static func read(_ r: inout BitReader, isHEVC: Bool) -> VideoUsability {
    var v = VideoUsability(isHEVC: isHEVC)
    if r.bit() {
      let code = r.bits(8)
      v.aspect = code == 255 ? (code, r.bits(16), r.bits(16)) : (code, 0, 0)
    }
    if r.bit() { v.overscan = r.bit() }
    if r.bit() {
      v.signal = (r.bits(3), r.bit(), nil)
      if r.bit() { v.signal?.colour = (r.byte(), r.byte(), r.byte()) }
    }
    if r.bit() { v.chromaLocation = (r.ue(), r.ue()) }
    if isHEVC {
      v.flags = r.bits(3)
      if r.bit() { v.window = (r.ue(), r.ue(), r.ue(), r.ue()) }
    }
    if r.bit() {
      v.timing = (r.bits(32), r.bits(32))
      if !isHEVC {
        v.hasFixedRate = r.bit()
      } else if r.bit() {
        v.orderTicks = r.ue()
      }
    }
    return v
  }

  /// Writes what ``read(_:isHEVC:)`` reads.
  func write(to w: inout BitWriter) {
    w.bit(aspect != nil)
    if let aspect {
      w.bits(aspect.code, 8)
      if aspect.code == 255 {
        w.bits(aspect.width, 16)
        w.bits(aspect.height, 16)
      }
    }
    w.bit(overscan != nil)
    if let overscan { w.bit(overscan) }
    w.bit(signal != nil)
    if let signal {
      w.bits(signal.format, 3)
      w.bit(signal.isFullRange)
      w.bit(signal.colour != nil)
      if let colour = signal.colour {
        w.bits(UInt32(colour.0), 8)
        w.bits(UInt32(colour.1), 8)
        w.bits(UInt32(colour.2), 8)
      }
    }
    w.bit(chromaLocation != nil)
    if let chromaLocation {
      w.ue(chromaLocation.0)
      w.ue(chromaLocation.1)
    }
    if isHEVC {
      w.bits(flags, 3)
      w.bit(window != nil)
      if let window {
        w.ue(window.0)
        w.ue(window.1)
        w.ue(window.2)
        w.ue(window.3)
      }
    }
    w.bit(timing != nil)
    guard let timing else { return }
    w.bits(timing.tick, 32)
    w.bits(timing.scale, 32)
    guard isHEVC else { return w.bit(hasFixedRate) }
    w.bit(orderTicks != nil)
    if let orderTicks { w.ue(orderTicks) }
  }

  /// Takes over a description. A timing that says the same rate in other numbers stays as it is.
  mutating func take(_ description: StreamDescription) {
    let color = description.color.completed
    // RGB has no place in pictures of luma and colour differences.
    let matrix: ColorDescription.Matrix = color.matrix == .rgb ? .unspecified : color.matrix
    let isSpecified = color.primaries != 2 || color.transfer != 2 || matrix != .unspecified
    // 5: of no television system.
    signal = (
      signal?.format ?? 5, color.isFullRange, isSpecified ? (color.primaries, color.transfer, matrix.rawValue) : nil
    )
    if description.aspect != .unknown, description.aspect != sampleAspect {
      let (width, height) = (UInt32(description.aspect.width), UInt32(description.aspect.height))
      aspect =
        if let index = VideoUsability.aspects.firstIndex(where: { $0 == (width, height) }) {
          (UInt32(index + 1), 0, 0)
        } else {
          (255, width, height)
        }
    }
    if description.frameRate != frameRate {
      let rate = description.frameRate
      timing = (
        UInt32(truncatingIfNeeded: rate.denominator), UInt32(truncatingIfNeeded: rate.numerator) * ticksOfFrame
      )
    }
  }

  /// A frame has two fields, and in H.264 a tick is one's.
  private var ticksOfFrame: UInt32 { isHEVC ? 1 : 2 }

  // MARK: what it says

  /// `nil` where there is no timing.
  var frameRate: FrameRate? {
    timing.flatMap { FrameRate(Int($0.scale), Int($0.tick) * Int(ticksOfFrame)) }
  }

  var sampleAspect: SampleAspect {
    switch aspect?.code {
    case 255?: SampleAspect(Int(aspect?.width ?? 0), Int(aspect?.height ?? 0))
    case let code? where code >= 1 && code <= 16:
      SampleAspect(Int(VideoUsability.aspects[Int(code) - 1].0), Int(VideoUsability.aspects[Int(code) - 1].1))
    default: .unknown
    }
  }

  var color: ColorDescription {
    guard let signal else { return .unspecified }
    let (primaries, transfer, matrix) = signal.colour ?? (2, 2, 2)
    return ColorDescription(
      ColorDescription.Matrix(rawValue: matrix), primaries: primaries, transfer: transfer,
      isFullRange: signal.isFullRange)
  }

  /// Table E-1 of both, from 1 on.
  private static let aspects: [(UInt32, UInt32)] = [
    (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11), (80, 33), (18, 11), (15, 11),
    (64, 33), (160, 99), (4, 3), (3, 2), (2, 1),
  ]
}

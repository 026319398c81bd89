// SPDX-License-Identifier: Apache-2.0

/// What the samples of a picture mean as colours: the code points of ITU-T H.273, which H.264, H.265, containers and libraries
/// share.
///
/// A part of ``FrameLayout``: pictures of another colour are other pictures to an encoder, whose stream begins anew with them.
public struct ColorDescription: Sendable, Hashable {
  /// How luma and colour differences are made of red, green and blue (`matrix_coefficients`).
  public struct Matrix: RawRepresentable, Sendable, Hashable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No luma: red, green and blue as they are.
    public static let rgb = Matrix(rawValue: 0)
    public static let bt709 = Matrix(rawValue: 1)
    public static let unspecified = Matrix(rawValue: 2)
    /// BT.601 with 625 lines; what JFIF has.
    public static let bt601 = Matrix(rawValue: 5)
    /// BT.601 with 525 lines, the same numbers.
    public static let smpte170m = Matrix(rawValue: 6)
    public static let smpte240m = Matrix(rawValue: 7)
    /// BT.2020 with non-constant luminance.
    public static let bt2020 = Matrix(rawValue: 9)

    /// Weights of red and blue in luma. What is not specified counts as BT.601, as it does in FFmpeg.
    public var weights: (red: Double, blue: Double) {
      switch rawValue {
      case 1: (0.2126, 0.0722)
      case 4: (0.30, 0.11)
      case 7: (0.212, 0.087)
      case 9, 10: (0.2627, 0.0593)
      default: (0.299, 0.114)
      }
    }
  }

  public var matrix: Matrix
  /// `colour_primaries`; 2 where unspecified.
  public var primaries: UInt8
  /// `transfer_characteristics`; 2 where unspecified.
  public var transfer: UInt8
  /// Samples use 0...255; else luma 16...235 and colour differences 16...240.
  public var isFullRange: Bool

  public init(
    _ matrix: Matrix = .unspecified, primaries: UInt8 = 2, transfer: UInt8 = 2, isFullRange: Bool = false
  ) {
    self.matrix = matrix
    self.primaries = primaries
    self.transfer = transfer
    self.isFullRange = isFullRange
  }

  /// Steps of 8 bit from black to white, of a colour difference from end to end, and where black is.
  public var steps: (luma: Double, difference: Double, black: Double) {
    isFullRange ? (255, 255, 0) : (219, 224, 16)
  }

  /// What the source does not say: limited range, and BT.601 where something has to be made of it.
  public static let unspecified = ColorDescription()
  /// What is in a JPEG picture (ITU-T T.871).
  public static let jfif = ColorDescription(.bt601, isFullRange: true)
  /// BT.601, limited range: what RGB is made into.
  public static let bt601 = ColorDescription(.smpte170m)
  /// Red, green and blue.
  public static let rgb = ColorDescription(.rgb, isFullRange: true)

  /// Both hold the same numbers for the same colours, whatever is said about primaries and transfer.
  public func hasSameSamples(as other: ColorDescription) -> Bool {
    isFullRange == other.isFullRange && matrix.weights == other.matrix.weights
  }

  /// With the primaries and the transfer that the matrix's own standard has, where they are not said.
  ///
  /// For those who are told: Chromium takes nothing of a description that is not whole, and shows small pictures as BT.601.
  public var completed: ColorDescription {
    let own: (primaries: UInt8, transfer: UInt8)
    switch matrix {
    case .bt709: own = (1, 1)
    case .bt601: own = (5, 6)
    case .smpte170m: own = (6, 6)
    case .smpte240m: own = (7, 7)
    case .bt2020: own = (9, 14)
    default: return self
    }
    var whole = self
    if primaries == 2 { whole.primaries = own.primaries }
    if transfer == 2 { whole.transfer = own.transfer }
    return whole
  }

  /// The same colours with samples as `other` has them.
  public func sampled(as other: ColorDescription) -> ColorDescription {
    ColorDescription(other.matrix, primaries: primaries, transfer: transfer, isFullRange: other.isFullRange)
  }
}

extension ColorDescription: CustomStringConvertible {
  /// `bt709 limited`; what is said beyond the matrix and differs from it follows: `bt2020 limited, primaries bt2020, transfer pq`.
  public var description: String {
    var text = "\(matrix) \(isFullRange ? "full" : "limited")"
    if primaries != 2, ColorDescription.primariesName(primaries) != "\(matrix)" {
      text += ", primaries \(ColorDescription.primariesName(primaries))"
    }
    if transfer != 2, ColorDescription.transferName(transfer) != "\(matrix)" {
      text += ", transfer \(ColorDescription.transferName(transfer))"
    }
    return text
  }

  private static func primariesName(_ code: UInt8) -> String {
    switch code {
    case 1: "bt709"
    case 5, 6: "bt601"
    case 7: "smpte240m"
    case 9: "bt2020"
    case 11: "dci-p3"
    case 12: "display-p3"
    default: "\(code)"
    }
  }

  private static func transferName(_ code: UInt8) -> String {
    switch code {
    case 1: "bt709"
    // The curve of BT.601 is that of BT.709 under a number of its own.
    case 6: "bt601"
    case 7: "smpte240m"
    case 8: "linear"
    case 13: "srgb"
    case 14, 15: "bt2020"
    case 16: "pq"
    case 18: "hlg"
    default: "\(code)"
    }
  }
}

extension ColorDescription.Matrix: CustomStringConvertible {
  public var description: String {
    switch rawValue {
    case 0: "rgb"
    case 1: "bt709"
    case 2: "unspecified"
    case 5, 6: "bt601"
    case 7: "smpte240m"
    case 9, 10: "bt2020"
    default: "matrix \(rawValue)"
    }
  }
}

/// Width of a sample to its height (`4:3`), in lowest terms; both 0 where nobody says.
public struct SampleAspect: Sendable, Hashable {
  public let width: UInt16
  public let height: UInt16

  /// Nearest that 16 bits hold. Anything that is not two positive numbers is ``unknown``.
  public init(_ width: Int, _ height: Int) {
    guard width > 0, height > 0 else {
      (self.width, self.height) = (0, 0)
      return
    }
    var (a, b) = (width, height)
    while b != 0 { (a, b) = (b, a % b) }
    var (w, h) = (width / a, height / a)
    while max(w, h) > Int(UInt16.max) { (w, h) = (max(1, w / 2), max(1, h / 2)) }
    self.width = UInt16(w)
    self.height = UInt16(h)
  }

  private init() { (width, height) = (0, 0) }

  public static let unknown = SampleAspect()
  public static let square = SampleAspect(1, 1)

  /// Of a picture that is scaled: its shape on a screen stays. Sizes are rounded to whole pairs of samples, so that a change of
  /// less than one in a hundred is none.
  /// - Parameters:
  ///   - size: of what is scaled, in pixels.
  ///   - other: what becomes of it, before it is turned.
  public func scaled(from size: (width: Int, height: Int), to other: (width: Int, height: Int)) -> SampleAspect {
    guard self != .unknown else { return self }
    // Each at most 14 bits, the aspect 16.
    let (across, down) = (size.width * other.height, size.height * other.width)
    guard across > 0, down > 0, abs(across - down) * 100 >= down else { return self }
    return SampleAspect(Int(width) * across, Int(height) * down)
  }

  /// Of the picture lying on its side.
  public var turned: SampleAspect { SampleAspect(Int(height), Int(width)) }
}

extension SampleAspect: CustomStringConvertible {
  public var description: String { self == .unknown ? "unknown" : "\(width):\(height)" }
}

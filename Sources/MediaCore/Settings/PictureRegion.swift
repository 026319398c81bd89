// SPDX-License-Identifier: Apache-2.0

/// A part of the coded picture with a quantiser of its own: the value of `roi0`...`roi7`.
public struct PictureRegion: Sendable, Hashable {
  /// In pixels of the picture that is coded, turned and mirrored where that is asked for.
  public var area: Rectangle
  /// The quantiser of its blocks or, where it is not absolute, what is added to the picture's.
  public var qp: Int
  public var isAbsolute: Bool

  public init(_ area: Rectangle, qp: Int, isAbsolute: Bool) {
    self.area = area
    self.qp = qp
    self.isAbsolute = isAbsolute
  }

  /// As many as the vendor's encoders have (VENC_MAX_ROI_NUM).
  public static let most = 8
  /// Luma of eight bits.
  public static let quantisers = 0...51
  public static let differences = -51...51

  /// As the setting reads: `64,32,128,96 abs 22`, `64,32,128,96 rel -6`.
  public var text: String {
    "\(area.x),\(area.y),\(area.width),\(area.height) \(isAbsolute ? "abs" : "rel") \(qp)"
  }

  /// The quantiser of its blocks in a picture that has another one.
  public func quantiser(in picture: Int, within bounds: ClosedRange<Int>) -> Int {
    min(bounds.upperBound, max(bounds.lowerBound, isAbsolute ? qp : picture + qp))
  }

  public func isInside(width: Int, height: Int) -> Bool {
    area.x + area.width <= width && area.y + area.height <= height
  }
}

extension SettingKey where Value == PictureRegion {
  /// The regions by number. Where they overlap, the later one holds.
  public static let regions = (0..<PictureRegion.most).map { SettingKey("roi\($0)") }
}

extension ObjectSettings {
  public subscript(key: SettingKey<PictureRegion>) -> PictureRegion? {
    get { if case .region(let value) = self[key.name] { value } else { nil } }
    set { self[key.name] = newValue.map { .region($0) } ?? .none }
  }
}

extension EngineSettings {
  /// What engines that take a quantiser for each block obey.
  public static let regions = SettingKey<PictureRegion>.regions.map { EngineSetting($0, live: true) }
}

extension EncoderConfiguration {
  /// Those in force, the one that holds over the others last.
  public var regions: [PictureRegion] { SettingKey<PictureRegion>.regions.compactMap { settings[$0] } }

  /// QPs of predicted and of key pictures, which also the blocks of regions keep to.
  public func quantisers(obeyed: EngineSettings) -> (predicted: ClosedRange<Int>, key: ClosedRange<Int>) {
    guard rateMode != .fixqp else { return (PictureRegion.quantisers, PictureRegion.quantisers) }
    let goals = RateGoals(self, obeyed: obeyed)
    return (goals.predicted, goals.key)
  }

  /// - Parameter knowsSize: the size of the pictures is that of frames that come.
  /// - Throws: ERANGE with the key of a region that is not wholly inside the picture, or that asks for a quantiser the bounds in
  ///   force do not allow.
  public func checkRegions(obeyed: EngineSettings, knowsSize: Bool) throws(Failure) {
    for key in SettingKey<PictureRegion>.regions {
      guard let region = settings[key] else { continue }
      if knowsSize, !region.isInside(width: width, height: height) {
        throw Failure(.outOfRange, key.name, on: "picture", "it reaches beyond the picture of \(width)x\(height)")
      }
      let bounds = quantisers(obeyed: obeyed).predicted
      if region.isAbsolute, !bounds.contains(region.qp) {
        throw Failure(
          .outOfRange, key.name, on: "picture",
          "min_qp and max_qp hold in regions too: \(bounds.lowerBound)..\(bounds.upperBound)")
      }
    }
  }
}

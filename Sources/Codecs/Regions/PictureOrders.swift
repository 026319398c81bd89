// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// What x264 and x265 are told with each picture. Both take one that is asked to be an IDR picture or left to them, the quantiser
/// plus one (0: their own), a number in the place of a time, and offsets of the quantiser for each block of 16x16.
struct PictureOrders {
  struct Order {
    var isKey: Bool
    /// 0 where the engine decides.
    var quantiserPlusOne: CInt
    var number: Int64
    /// `nil` where no block has a quantiser of its own. Valid until the next order.
    var offsets: UnsafeMutablePointer<Float>?
  }

  private let obeyed: EngineSettings
  private var number: Int64 = 0
  private var regions: [PictureRegion] = []
  private var map: QuantiserMap?
  private var bounds: (predicted: ClosedRange<Int>, key: ClosedRange<Int>)

  init(_ configuration: EncoderConfiguration, obeyed: EngineSettings) {
    self.obeyed = obeyed
    bounds = configuration.quantisers(obeyed: obeyed)
    take(configuration)
  }

  /// From the next picture on.
  mutating func take(_ configuration: EncoderConfiguration) {
    bounds = configuration.quantisers(obeyed: obeyed)
    guard configuration.regions != regions else { return }
    regions = configuration.regions
    map =
      regions.isEmpty
      ? nil : QuantiserMap(regions, width: configuration.width, height: configuration.height)
  }

  /// - Parameter spread: as ``QuantiserMap/fill(qp:within:spread:)`` takes it.
  mutating func next(_ directive: EncodeDirective, spread: TextureSpread? = nil) -> Order {
    defer { number += 1 }
    let isKey = directive.type == .idr || directive.type == .i
    // Where the engine decides, nobody knows what to add to.
    if let qp = directive.qp { map?.fill(qp: qp, within: isKey ? bounds.key : bounds.predicted, spread: spread) }
    return Order(
      isKey: isKey, quantiserPlusOne: directive.qp.map { CInt($0 + 1) } ?? 0, number: number,
      offsets: directive.qp == nil ? nil : map?.offsets)
  }
}

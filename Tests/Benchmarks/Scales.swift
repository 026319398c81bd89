// SPDX-License-Identifier: Apache-2.0
import CYUV
import Codecs
import Glibc
import MediaCore

#if FFmpeg
  import CSwscale
#endif

/// What scaling and converting a picture costs on one thread, this project's scaler beside libyuv and libswscale, in turns and in one
/// run; and the PSNR of each against the picture that is not rounded.
enum Scales {
  /// PSNR from which on a way of another library counts as one that does the same work.
  private static let leastDecibels = 40.0

  private static let sizes: [(name: String, from: (Int, Int), to: (Int, Int))] = [
    ("3to2", (1920, 1080), (1280, 720)), ("2to1", (1920, 1080), (960, 540)), ("3to1", (1920, 1080), (640, 360)),
    ("4to1", (1920, 1080), (480, 270)), ("4to3", (1920, 1080), (1440, 810)), ("1to2", (960, 540), (1920, 1080)),
    ("854x480", (1920, 1080), (854, 480)), ("720x576", (1920, 1080), (720, 576)), ("320x180", (1920, 1080), (320, 180)),
    ("vga", (1280, 720), (640, 480)), ("up1080", (1280, 720), (1920, 1080)), ("odd", (1918, 1078), (1278, 718)),
  ]

  static func run(_ options: Options) throws(BenchError) {
    let rounds = try options.count("--rounds", 100)
    let picture = try ScaledPicture(.i420, 1920, 1080)
    try read(try options.required("--picture"), into: picture)
    var worst = Worst()
    for (name, from, to) in sizes {
      for format: PixelFormat in [.nv12, .i420] {
        let source = try ScaledPicture(format, from.0, from.1)
        try convert(picture, to: source)
        let rival = try Contest("\(format).\(name)", source, to: to)
        worst.add(try rival.run(rounds: rounds))
      }
    }
    try packed(picture, rounds)
    try several(picture, rounds)
    report("scale.worst.to_fastest", worst.ratio, "ratio")
    report("scale.worst.decibels", worst.decibels, "dB")
  }

  private struct Worst {
    var ratio = 0.0
    var decibels = 99.0
    mutating func add(_ found: (ratio: Double, decibels: Double)) {
      ratio = max(ratio, found.ratio)
      decibels = min(decibels, found.decibels)
    }
  }

  private static func read(_ path: String, into picture: borrowing ScaledPicture) throws(BenchError) {
    guard let file = fopen(path, "rb") else { throw BenchError(errno: errno, "open", path) }
    defer { fclose(file) }
    for plane in 0..<3 {
      let (bytes, lines) = plane == 0 ? (1920, 1080) : (960, 540)
      for line in 0..<lines {
        guard fread(picture.plane(plane) + line * Int(picture.stride(plane)), 1, bytes, file) == bytes else {
          throw BenchError("\(path) is no raw picture of 1920x1080 in I420")
        }
      }
    }
  }

  private static func scaler() throws(BenchError) -> any Scaler {
    do throws(Failure) {
      guard let factory = SoftwareCodecs.scalerFactories().first else {
        throw Failure(.notSupported, "scale", on: "bench")
      }
      return try factory.open()
    } catch {
      throw BenchError("\(error)")
    }
  }

  private static func scale(
    _ scaler: any Scaler, _ source: borrowing ScaledPicture, to target: inout ScaledPicture
  ) throws(BenchError) {
    do throws(Failure) {
      _ = try scaler.scale(source.frame, crop: nil, transform: PictureTransform(), to: &target.frame)
    } catch {
      throw BenchError("\(error)")
    }
  }

  private static func convert(_ source: borrowing ScaledPicture, to target: borrowing ScaledPicture) throws(BenchError)
  {
    var made = try ScaledPicture(target.layout.format, Int(target.width), Int(target.height))
    try scale(try scaler(), source, to: &made)
    memcpy(target.base, made.base, target.layout.byteCount)
  }

  // MARK: one size beside the others

  /// A way to do it.
  private enum Way: String, CaseIterable {
    case mpifs
    case box = "libyuv_box"
    case bilinear = "libyuv_bilinear"
    case fast = "swscale_fast_bilinear"
    case smooth = "swscale_bilinear"
    case area = "swscale_area"
  }

  private final class Contest {
    private let name: String
    private let source: ScaledPicture
    private var target: ScaledPicture
    private let scaler: any Scaler
    #if FFmpeg
      private var contexts: [Way: OpaquePointer] = [:]
    #endif

    init(_ name: String, _ source: consuming ScaledPicture, to: (Int, Int)) throws(BenchError) {
      self.name = name
      let format = source.layout.format
      target = try ScaledPicture(format, to.0, to.1)
      scaler = try Scales.scaler()
      #if FFmpeg
        for (way, flags) in [(Way.fast, SWS_FAST_BILINEAR), (.smooth, SWS_BILINEAR), (.area, SWS_AREA)] {
          let named = format == .nv12 ? AV_PIX_FMT_NV12 : AV_PIX_FMT_YUV420P
          contexts[way] = sws_getContext(
            source.width, source.height, named, CInt(to.0), CInt(to.1), named, CInt(flags), nil, nil, nil)
        }
      #endif
      self.source = source
    }

    deinit {
      #if FFmpeg
        for context in contexts.values { sws_freeContext(context) }
      #endif
    }

    private var ways: [Way] {
      #if FFmpeg
        return Way.allCases
      #else
        return [.mpifs, .box, .bilinear]
      #endif
    }

    /// - Returns: this project's time to that of the fastest way that does the same work, and its signal to noise.
    func run(rounds: Int) throws(BenchError) -> (ratio: Double, decibels: Double) {
      let exact = ExactScaling.scaled(
        source.luma, Int(source.width), Int(source.height), to: Int(target.width), Int(target.height))
      var decibels: [Way: Double] = [:]
      for way in ways {
        try make(way)
        decibels[way] = ExactScaling.decibels(target.luma, exact)
      }
      var times: [Way: Samples] = [:]
      // Each comes after each other one in turn, and twice in a row: what the one before left in the caches is not measured.
      for round in 0..<rounds {
        for number in ways.indices {
          let way = ways[(number * (1 + round % 2 * (ways.count - 2)) + round) % ways.count]
          try make(way)
          let start = now()
          try make(way)
          times[way, default: Samples()].append(Double(now() - start) / 1e6)
        }
      }
      func time(_ way: Way) -> Double { times[way]?.median ?? 0 }
      for way in ways {
        report("scale.\(name).\(way.rawValue)", time(way), "ms")
        report("scale.\(name).\(way.rawValue).psnr", decibels[way] ?? 0, "dB")
      }
      let rivals = ways.filter { $0 != .mpifs && decibels[$0] ?? 0 >= Scales.leastDecibels }
      let fastest = rivals.min { time($0) < time($1) }
      let ratio = time(.mpifs) / max(1e-6, fastest.map { time($0) } ?? 1e9)
      report("scale.\(name).to_fastest", ratio, "ratio")
      return (ratio, decibels[.mpifs] ?? 0)
    }

    private func make(_ way: Way) throws(BenchError) {
      switch way {
      case .mpifs: try Scales.scale(scaler, source, to: &target)
      case .box, .bilinear: libyuv(way == .box ? kFilterBox : kFilterBilinear)
      default: swscale(way)
      }
    }

    private func libyuv(_ filter: FilterMode) {
      let (s0, s1, s2) = (source.plane(0), source.plane(1), source.plane(2))
      let (t0, t1, t2) = (target.plane(0), target.plane(1), target.plane(2))
      if source.layout.format == .nv12 {
        _ = NV12Scale(
          s0, source.stride(0), s1, source.stride(1), source.width, source.height, t0, target.stride(0), t1,
          target.stride(1), target.width, target.height, filter)
      } else {
        _ = I420Scale(
          s0, source.stride(0), s1, source.stride(1), s2, source.stride(2), source.width, source.height, t0,
          target.stride(0), t1, target.stride(1), t2, target.stride(2), target.width, target.height, filter)
      }
    }

    private func swscale(_ way: Way) {
      #if FFmpeg
        guard let context = contexts[way] else { return }
        withUnsafeTemporaryAllocation(of: UnsafePointer<UInt8>?.self, capacity: 4) { from in
          withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<UInt8>?.self, capacity: 4) { to in
            withUnsafeTemporaryAllocation(of: CInt.self, capacity: 8) { strides in
              for plane in 0..<3 {
                from[plane] = UnsafePointer(source.plane(plane))
                to[plane] = target.plane(plane)
                strides[plane] = source.stride(plane)
                strides[plane + 4] = target.stride(plane)
              }
              (from[3], to[3], strides[3], strides[7]) = (nil, nil, 0, 0)
              _ = sws_scale(
                context, from.baseAddress, strides.baseAddress, 0, source.height, to.baseAddress,
                strides.baseAddress.map { $0 + 4 })
            }
          }
        }
      #endif
    }
  }

  // MARK: conversion, several outputs

  /// YUYV to NV12.
  private static func packed(_ picture: borrowing ScaledPicture, _ rounds: Int) throws(BenchError) {
    let source = try ScaledPicture(.yuyv, 1920, 1080)
    try convert(picture, to: source)
    var target = try ScaledPicture(.nv12, 1920, 1080)
    let scaler = try scaler()
    var (ours, theirs) = (Samples(), Samples())
    for round in 0..<rounds * 2 {
      for turn in 0..<2 {
        let isOurs = (round + turn) % 2 == 0
        let start = now()
        if isOurs {
          try scale(scaler, source, to: &target)
        } else {
          _ = YUY2ToNV12(
            source.plane(0), source.stride(0), target.plane(0), target.stride(0), target.plane(1), target.stride(1),
            1920,
            1080)
        }
        let time = Double(now() - start) / 1e6
        if isOurs { ours.append(time) } else { theirs.append(time) }
      }
    }
    report("scale.yuyv_to_nv12.mpifs", ours.median, "ms")
    report("scale.yuyv_to_nv12.libyuv", theirs.median, "ms")
    report("scale.yuyv_to_nv12.to_libyuv", ours.median / max(1e-6, theirs.median), "ratio")
  }

  /// 720p, 360p and 180p of one picture: each of it, and the smaller ones of the first as a group does it (``NearerPicture`` of
  /// the runtime).
  private static func several(_ picture: borrowing ScaledPicture, _ rounds: Int) throws(BenchError) {
    let source = try ScaledPicture(.nv12, 1920, 1080)
    try convert(picture, to: source)
    var first = try ScaledPicture(.nv12, 1280, 720)
    var second = try ScaledPicture(.nv12, 640, 360)
    var third = try ScaledPicture(.nv12, 320, 180)
    let scalers = [try scaler(), try scaler(), try scaler(), try scaler(), try scaler()]
    var (apart, together) = (Samples(), Samples())
    for round in 0..<rounds * 2 {
      for turn in 0..<2 {
        let isApart = (round + turn) % 2 == 1
        let start = now()
        try scale(scalers[0], source, to: &first)
        if isApart {
          try scale(scalers[1], source, to: &second)
          try scale(scalers[2], source, to: &third)
        } else {
          try scale(scalers[3], first, to: &second)
          try scale(scalers[4], first, to: &third)
        }
        let time = Double(now() - start) / 1e6
        if isApart { apart.append(time) } else { together.append(time) }
      }
    }
    // The last turn made them of the first one.
    for (name, made) in [("360p", second.luma), ("180p", third.luma)] {
      let (width, height) = name == "360p" ? (640, 360) : (320, 180)
      let exact = ExactScaling.scaled(source.luma, 1920, 1080, to: width, height)
      report("scale.three.\(name).psnr", ExactScaling.decibels(made, exact), "dB")
    }
    report("scale.three.apart", apart.median, "ms")
    report("scale.three.together", together.median, "ms")
    report("scale.three.to_apart", together.median / max(1e-6, apart.median), "ratio")
  }
}

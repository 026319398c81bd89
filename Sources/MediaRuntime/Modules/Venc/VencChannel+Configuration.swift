// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization
import SystemPackage

/// What an encoder channel's settings come to: which engines could serve them, what those are asked for, what is refused.
extension VencChannel {
  /// Refused is what the change itself breaks. A source that no engine can take, or a device that was pulled out, is no
  /// reason to refuse stopping, unbinding or another setting.
  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    let starts = new.flag("enable") && !running
    if !starts, changed.isDisjoint(with: ["codec", "backend"]),
      environment.engines.encoder(
        backend: new.text("backend") ?? "auto", for: new.text("codec").flatMap(Codec.init(rawValue:)) ?? .h264) == nil
    {
      return
    }
    let (engines, codec) = try candidates(new)
    // One that stands still has no frames to fit.
    let layout = starts || running ? node.input.upstream?.format?.layout : nil
    // One that runs keeps its engine; one that starts takes the first that can.
    let asked = running ? [used?.factory ?? engines[0]] : engines
    guard let failure = refusal(by: asked, of: new, codec, layout) else { return }
    let isOwn = starts || changed.contains(failure.operation)
    if !isOwn, refusal(by: asked, of: settings, codec, layout) != nil { return }
    throw refusal(failure, changed, starts: starts)
  }

  /// The log names the file that was written. What an engine says of a setting names that setting; what it says of itself is as it is.
  private func refusal(_ failure: Failure, _ changed: Set<String>, starts: Bool) -> Refusal {
    let key =
      changed.contains(failure.operation) ? failure.operation : starts ? "enable" : changed.sorted().first ?? "codec"
    guard !failure.detail.isEmpty else { return Refusal(failure, path: "\(path)/\(key)") }
    let reason = key == failure.operation ? failure.detail : "\(failure.operation): \(failure.detail)"
    let subject = failure.subject == "picture" ? "" : "\(failure.subject): "
    return Refusal(failure.errno, path: "\(path)/\(key)", reason: subject + reason)
  }

  /// What the first of the engines says when none of them can; `nil` when one can.
  private func refusal(
    by engines: [any EncoderFactory], of settings: ObjectSettings, _ codec: Codec, _ layout: FrameLayout?
  ) -> Failure? {
    var first: Failure?
    for engine in engines {
      do throws(Failure) {
        let asked = configuration(settings, engine, codec, layout)
        try engine.validate(asked)
        try asked.checkRegions(obeyed: engine.settings(for: codec), knowsSize: layout != nil)
        return nil
      } catch {
        first = first ?? error
      }
    }
    return first
  }

  /// The engines that could serve these settings, the preferred first; at least one.
  func candidates(_ settings: ObjectSettings) throws(Refusal) -> ([any EncoderFactory], Codec) {
    let name = settings.text("codec") ?? "h264"
    let backend = settings.text("backend") ?? "auto"
    guard let codec = Codec(rawValue: name) else {
      throw Refusal(.invalidArgument, path: "\(path)/codec", value: Array(name.utf8), reason: "no such codec")
    }
    let engines = environment.engines.encoders(backend: backend, for: codec)
    guard !engines.isEmpty else {
      if backend.hasPrefix("/dev/"), !environment.engines.encoders.contains(where: { $0.name == backend }) {
        throw Refusal(
          .operationNotSupportedByDevice, path: "\(path)/backend", value: Array(backend.utf8),
          reason: "\(backend) is not there", hint: "auto, or plug it in again")
      }
      let able = environment.engines.encoders.filter { $0.codecs.contains(codec) }.map(\.name)
      throw Refusal(
        .notSupported, path: "\(path)/backend", value: Array(backend.utf8),
        reason: "no engine of this name encodes \(name) here",
        hint: able.isEmpty ? "another codec" : "one of: auto \(able.joined(separator: " "))")
    }
    return (engines, codec)
  }

  func upstreamChanged() {
    updateFrameControl()
    configurationChanges.add(1, ordering: .acquiringAndReleasing)
  }

  func updateFrameControl() {
    node.input.updateControl { FrameControl.table(settings, of: node.input.upstream?.format?.rate) }
  }

  /// Rate that is left after frame-rate control.
  func codedRate(_ settings: ObjectSettings) -> FrameRate? {
    Self.codedRate(settings, of: node.input.upstream?.format)
  }

  /// - Parameter upstream: the frames that come, as far as that is known.
  static func codedRate(_ settings: ObjectSettings, of upstream: StreamFormat?) -> FrameRate? {
    FrameControl.rate(settings, of: upstream?.rate)
  }

  func configuration(
    _ settings: ObjectSettings, _ factory: any EncoderFactory, _ codec: Codec, _ layout: FrameLayout?
  ) -> EncoderConfiguration {
    var transform = PictureTransform()
    transform.rotation = settings.integer("rotation") ?? 0
    transform.mirror = settings.flag("mirror")
    var (width, height) = (Int(layout?.width ?? 640), Int(layout?.height ?? 480))
    if transform.rotation % 180 != 0 { swap(&width, &height) }
    var configuration = EncoderConfiguration(
      codec: codec, width: width, height: height, format: layout?.format ?? .i420,
      frameRate: codedRate(settings) ?? .thirty, depth: environment.options.deviceDepth, settings: settings,
      obeyed: factory.settings(for: codec))
    configuration.transform = transform
    return configuration
  }
}

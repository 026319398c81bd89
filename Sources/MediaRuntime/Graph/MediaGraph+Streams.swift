// SPDX-License-Identifier: Apache-2.0
public import MediaCore
import Reports

/// Who reads a channel's coded pictures.
extension MediaGraph {
  /// Opens the coded stream of an encoder channel.
  /// - Throws: ENOENT no such channel, ENOTSUP it has no stream, ENODEV it is being removed.
  public func openStream(_ path: ObjectPath) throws(Refusal) -> StreamReader {
    try attach(path, .coded)
  }

  /// Opens a stream of an object by its file's name: one form of its coded stream, or lines it tells.
  /// - Throws: as the others; ENOENT for a name it has not.
  public func openStream(_ path: ObjectPath, named name: String) throws(Refusal) -> any CodedStream {
    if let form = StreamForm(rawValue: name) { return try openStream(path, as: form) }
    guard let object = object(path), let reader = object.openEvents(name) else {
      throw Refusal(.noSuchFileOrDirectory, path: "\(path)/\(name)", reason: "\(path) has no such stream")
    }
    return reader
  }

  /// Opens it in another form. What that needs may have to be loaded: nothing can be read until then.
  /// - Throws: as above; ENOTSUP also where the coding has not this form, or this build cannot make it.
  public func openStream(_ path: ObjectPath, as form: StreamForm) throws(Refusal) -> any CodedStream {
    guard form != .coded else { return try openStream(path) }
    if let object = object(path), let obstacle = obstacle(form, object) {
      throw Refusal(.notSupported, path: "\(path)/\(form.rawValue)", reason: obstacle, hint: hint(object))
    }
    guard let container = form.container, let factory = environment.engines.muxer else {
      return FormedReader(try attach(path, form), MultipartPictures())
    }
    let reader = try attach(path, form)
    let formed = FormedReader(reader, MuxedPictures(container, factory, name: "\(path)"))
    guard !factory.isLoaded else { return formed }
    formed.awaitLoading()
    environment.muxers.load(factory) { [weak formed] failure in formed?.loaded(failure) }
    return formed
  }

  private func attach(_ path: ObjectPath, _ form: StreamForm) throws(Refusal) -> StreamReader {
    guard let object = object(path) else {
      throw Refusal(.noSuchFileOrDirectory, path: "\(path)/\(form.rawValue)", reason: "\(path) does not exist")
    }
    guard let stream = object.stream else {
      throw Refusal(.notSupported, path: "\(path)/\(form.rawValue)", reason: "\(path) has no stream")
    }
    do throws(Failure) {
      return try stream.attach()
    } catch {
      throw Refusal(error, path: "\(path)/\(form.rawValue)")
    }
  }

  // MARK: which forms there are

  private func codec(_ object: any Channel) -> Codec? { object.settings.text("codec").flatMap { Codec(rawValue: $0) } }

  private func obstacle(_ form: StreamForm, _ object: any Channel) -> String? {
    form.obstacle(codec(object), environment.engines.muxer)
  }

  private func hint(_ object: any Channel) -> String {
    let able = StreamForm.allCases.filter { obstacle($0, object) == nil }.map(\.rawValue)
    return "the channel has \(able.joined(separator: ", "))"
  }

  /// The forms of a channel's stream, those that cannot be read now with the reason.
  func streamReports(_ object: any Channel) -> [StreamReport] {
    guard object.stream != nil else { return [] }
    return StreamForm.allCases.map {
      StreamReport(name: "\(object.path)/\($0.rawValue)", summary: $0.summary, obstacle: obstacle($0, object))
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import SystemPackage

/// Where a region lies in the pictures of one channel: `rgn/0/attach/venc-0`.
final class AttachedRegion: Fitting {
  static let module = ModuleClass(
    fitting: Region.module.type.attachments, stage: Region.before, rows: RgnSettings.attachmentRows,
    check: RgnSettings.checkAttachment
  ) { identity, settings, environment, region throws(Refusal) in
    guard let region = region as? Region, let target = identity.path.target else {
      throw Refusal(
        .noSuchFileOrDirectory, path: "\(identity.path)", reason: "\(identity.path.group) does not exist",
        hint: "make \(identity.path.group) first")
    }
    return AttachedRegion(identity, to: target, of: region, settings)
  }

  let path: ObjectPath
  let generation: UInt64
  let createdAt = Clock.now()
  let target: ObjectPath
  private let region: Region
  private let settingsNow: Published<ObjectSettings>

  private init(_ identity: ObjectIdentity, to target: ObjectPath, of region: Region, _ settings: ObjectSettings) {
    path = identity.path
    generation = identity.generation
    self.target = target
    self.region = region
    settingsNow = Published(settings)
  }

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {}

  func commit(_ new: ObjectSettings, changed: Set<String>) {
    settingsNow.store(new)
    region.changed()
  }

  func enter() { region.attach(self) }
  func start() throws(Failure) {}
  func stop() {}
  func perform(_ command: String, argument: String) throws(Refusal) {
    throw Refusal(.noSuchFileOrDirectory, path: "\(path)/\(command)", reason: "no such command")
  }
  func retire() { region.detach(self) }

  var x: Int { settingsNow.value.integer("x") ?? 0 }
  var y: Int { settingsNow.value.integer("y") ?? 0 }
  var layer: Int { settingsNow.value.integer("layer") ?? 0 }

  /// All of it of one moment.
  func place(_ drawing: Drawing) -> PlacedDrawing {
    let settings = settingsNow.value
    return PlacedDrawing(
      drawing, x: settings.integer("x") ?? 0, y: settings.integer("y") ?? 0, layer: settings.integer("layer") ?? 0)
  }

  var placement: (region: Int, target: ObjectPath, x: Int, y: Int, layer: Int)? {
    let settings = settingsNow.value
    return (
      path.number, target, settings.integer("x") ?? 0, settings.integer("y") ?? 0, settings.integer("layer") ?? 0
    )
  }
}

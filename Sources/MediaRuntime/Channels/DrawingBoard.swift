// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization

/// One thing drawn into the pictures of a channel.
struct BoardItem: Sendable, Equatable {
  var placed: PlacedDrawing
  /// It is there to hide what lies under it: a picture must not go on without it.
  var hides: Bool
  /// Order of drawing within a layer.
  var order: Int
}

/// What is drawn into the pictures of one channel now, made ready for its pictures. A value: swapped whole between two of them.
final class DrawingSheet: Sendable {
  let items: [BoardItem]
  /// The layout it was made ready for; `nil` as long as no picture has been seen.
  let layout: FrameLayout?
  /// `nil` where nothing is seen of it, or it cannot be drawn.
  let prepared: (any PreparedDrawings)?
  /// Why it cannot be drawn.
  let failure: Failure?
  let hides: Bool

  fileprivate init(_ items: [BoardItem], for layout: FrameLayout?, by painter: (any Painter)?, on path: ObjectPath) {
    self.items = items
    self.layout = layout
    hides = items.contains { $0.hides }
    guard let layout else {
      (prepared, failure) = (nil, nil)
      return
    }
    do throws(Failure) {
      guard let painter else {
        throw Failure(.notSupported, "paint", on: "\(path)", "this build draws no regions")
      }
      let made = try painter.prepare(items.map(\.placed), for: layout)
      (prepared, failure) = (made.isEmpty ? nil : made, nil)
    } catch {
      (prepared, failure) = (nil, error)
    }
  }
}

/// What is drawn into the pictures of the channels, by their paths: it may be there before the channel.
///
/// Threads: ``DrawingBoard/show(_:by:)`` and ``DrawingBoard/publish(by:)`` by the workbench alone; a sheet is read on the frame's path without a lock, and made ready there
/// where pictures of another layout come, as an engine is opened anew then.
final class DrawingBoard: Sendable {
  /// The drawings of one channel.
  final class Place: Sendable {
    let path: ObjectPath
    /// `nil` where nothing is drawn: the frame's path looks at nothing else then.
    let sheet = Published<DrawingSheet?>(nil)
    private struct State {
      var items: [BoardItem] = []
      var layout: FrameLayout?
    }
    /// Orders those that make sheets.
    private let state = Mutex(State())

    fileprivate init(_ path: ObjectPath) { self.path = path }

    fileprivate func show(_ items: [BoardItem], by painter: (any Painter)?) {
      state.withLock { state in
        guard state.items != items else { return }
        state.items = items
        make(state, painter)
      }
    }

    /// The sheet for pictures of this layout; `nil` where nothing is drawn any more.
    func adapt(to layout: FrameLayout, by painter: (any Painter)?) -> DrawingSheet? {
      state.withLock { state in
        state.layout = layout
        if let now = sheet.value, now.layout == layout { return now }
        make(state, painter)
        return sheet.value
      }
    }

    private func make(_ state: State, _ painter: (any Painter)?) {
      sheet.store(state.items.isEmpty ? nil : DrawingSheet(state.items, for: state.layout, by: painter, on: path))
    }
  }

  private let places = Mutex<[ObjectPath: Place]>([:])
  /// By what attaches them.
  private let items = Mutex(Items())
  private struct Items {
    var all: [ObjectPath: [ObjectPath: BoardItem]] = [:]
    /// Channels whose drawings have changed since they were published.
    var changed: Set<ObjectPath> = []
  }

  func place(_ path: ObjectPath) -> Place {
    places.withLock { places in
      if let place = places[path] { return place }
      let place = Place(path)
      places[path] = place
      return place
    }
  }

  /// What an attachment draws into pictures of its target, from when it is published.
  /// - Parameter item: `nil` for nothing any more.
  func show(_ item: BoardItem?, by attachment: ObjectPath) {
    guard let target = attachment.target else { return }
    items.withLock { items in
      items.all[target, default: [:]][attachment] = item
      items.changed.insert(target)
    }
  }

  /// Makes all that has changed ready, and has it drawn from the next picture on: of each channel all of it at once.
  func publish(by painter: (any Painter)?) {
    let changed = items.withLock { items in
      defer { items.changed = [] }
      return items.changed.map { ($0, items.all[$0].map { Array($0.values) } ?? []) }
    }
    for (target, all) in changed {
      place(target).show(all.sorted { ($0.placed.layer, $0.order) < ($1.placed.layer, $1.order) }, by: painter)
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/// The part of the runtime something belongs to: a node of the graph or a line of the log.
public enum ModuleKind: UInt8, Sendable, Equatable, CaseIterable {
  /// Reads frames from a camera, a file or a generator.
  case videoInput
  /// Crops, scales and turns frames.
  case videoProcessing
  /// Encodes frames.
  case encoder
  /// Decodes packets.
  case decoder
  /// Shows frames on a display.
  case videoOutput
  /// Draws regions (overlays, covers, mosaics) into frames.
  case region
  /// Buffers and pools.
  case memory
  /// Graph, bindings, settings and everything else.
  case system
}

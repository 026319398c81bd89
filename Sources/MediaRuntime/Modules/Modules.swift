// SPDX-License-Identifier: Apache-2.0

/// The modules that are built in: a folder and a line each, in the order of the tree, of `help` and of `config`.
enum Modules {
  static let all: [ModuleClass] = [
    ViChannel.module,
    VpssGroup.module,
    VpssOutput.module,
    VencChannel.module,
    VdecChannel.module,
    VoChannel.module,
    VdaChannel.module,
    Region.module,
    AttachedRegion.module,
    VbPool.module,
  ]

  /// Classes of objects that this build does not make: refused as such, not as a spelling mistake.
  static let elsewhere: [String] = []
}

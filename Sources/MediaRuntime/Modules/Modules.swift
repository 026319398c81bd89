// SPDX-License-Identifier: Apache-2.0

/// The modules that are built in: a folder and a line each.
enum Modules {
  static let all: [ModuleClass] = [
    ViChannel.module, VpssGroup.module, VpssOutput.module, VencChannel.module, VdecChannel.module, VoChannel.module,
  ]
}

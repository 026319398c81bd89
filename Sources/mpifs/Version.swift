// SPDX-License-Identifier: Apache-2.0
import CBuildInfo

/// What this program is and what it was built from: the text of `--version`, and the values behind the `version:` and
/// `build:` lines of the vendor's nodes.
enum Version {
  /// Semantic version of the program.
  static let number = "0.1.0"

  /// Git commit, with `-dirty` after it when the sources differed; `unknown` when the build was not told.
  static var commit: String { String(cString: mpifs_build_commit()) }

  /// UTC time of the build, `YYYY-MM-DD-HH:MM:SS`.
  static var buildTime: String { String(cString: mpifs_build_time()) }

  /// Traits built in, separated by one blank; `none` when there is none.
  static var traits: String { String(cString: mpifs_build_traits()) }

  /// Whether the program, or the library it loads for media files, links GPL code.
  static var linksGPL: Bool { mpifs_build_links_gpl() }

  /// The text of `mpifs --version`.
  static var text: String {
    """
    mpifs \(number)
    commit: \(commit)
    built: \(buildTime)
    traits: \(traits)
    licence: \(linksGPL ? "Apache-2.0 source; this binary links GPL code" : "Apache-2.0; this binary links no GPL code")
    """
  }
}

// SPDX-License-Identifier: Apache-2.0

/// Which program this is, how it was built and what it runs on. Fixed for the life of the process.
public struct SystemIdentity: Sendable, Equatable {
  /// Name of the program or repository, for example `mpifs`.
  public var program: String
  /// Version of the program without a leading letter, for example `0.1.0`.
  public var version: String
  /// Commit the program was built from, 40 lower-case hexadecimal digits. Forty zeros when it was built outside a
  /// repository.
  public var commit: String
  /// Who built it; may be empty.
  public var buildAuthor: String
  /// When it was built, UTC.
  public var buildTime: CivilTime
  /// Name, release, version and machine of the running kernel, as `uname` gives them, separated by blanks.
  public var kernel: String
  /// Process number of this program.
  public var processID: Int32

  public init(
    program: String, version: String, commit: String, buildAuthor: String, buildTime: CivilTime, kernel: String = "",
    processID: Int32 = 0
  ) {
    self.program = program
    self.version = version
    self.commit = commit
    self.buildAuthor = buildAuthor
    self.buildTime = buildTime
    self.kernel = kernel
    self.processID = processID
  }
}

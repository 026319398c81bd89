// SPDX-License-Identifier: Apache-2.0

/// One refused command or one failure.
public struct RefusalRecord: Sendable, Equatable {
  /// When it happened.
  public var clocks: ClockReading
  /// What was written or what failed, for example `venc/0/bitrate`.
  public var path: String
  /// How many more there were before it, refused for the same reason right after each other.
  public var others: Int
  /// The bytes that were written, as they came; the giver may cut them.
  public var value: [UInt8]
  /// How many bytes were written when `value` was cut; nil when it is whole.
  public var valueLength: Int?
  /// The error number given to the writer; 0 for a failure nobody waited for.
  public var errno: Int32
  /// Name of that number, for example `ERANGE`.
  public var errnoName: String
  /// What is wrong.
  public var reason: String
  /// What would be right.
  public var hint: String?

  public init(
    clocks: ClockReading, path: String, others: Int = 0, value: [UInt8] = [], valueLength: Int? = nil, errno: Int32,
    errnoName: String = "", reason: String, hint: String? = nil
  ) {
    self.clocks = clocks
    self.path = path
    self.others = others
    self.value = value
    self.valueLength = valueLength
    self.errno = errno
    self.errnoName = errnoName
    self.reason = reason
    self.hint = hint
  }
}

// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore

extension Failure {
  /// The kernel's refusal in the form the layers above report it.
  public init(_ error: KernelError, _ detail: String = "") {
    self.init(error.errno, error.operation, on: error.subject, detail)
  }
}

/// Runs kernel calls and reports what they refuse as a ``Failure``.
func asFailure<Result: ~Copyable>(
  _ detail: @autoclosure () -> String = "", _ body: () throws(KernelError) -> Result
) throws(Failure) -> Result {
  do {
    return try body()
  } catch {
    throw Failure(error, detail())
  }
}

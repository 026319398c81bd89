// SPDX-License-Identifier: Apache-2.0
public import Base
import SystemPackage

extension Thread {
  /// A thread, or the failure to have one as every layer above reports it.
  /// - Parameter name: at most 15 bytes are shown by the kernel.
  /// - Throws: EAGAIN when the system has no more threads.
  public static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(Failure) -> Thread {
    do throws(Errno) {
      return try Thread(name, body)
    } catch {
      throw Failure(error, "pthread_create", on: name)
    }
  }
}

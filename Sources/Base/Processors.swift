// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// The machine's processors.
public enum Processors {
  /// How many the calling thread, and so every thread it makes, may run on: at least 1. Under taskset(1), in a cpuset or in
  /// a container these are fewer than the machine has.
  public static var available: Int {
    let count = Int(mpifs_usable_processors())
    return count > 0 ? count : max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  }
}

// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `load`: how busy each service is. The vendor's figures stand still while a device is idle; these are of the
/// window that ends now.
public enum LoadPage {
  static let page = Page("mpp_service/load", capacity: 512, "load and utilisation of the CPU and of each device") {
    write($0.services, to: &$1)
  }

  /// Writes the page; without a window the vendor's three lines that say how to set one.
  public static func write(_ report: ServicesReport, to out: inout TextWriter) {
    guard report.loadWindow != 0 else {
      return out.text(
        """
        please set load_interval first!!!
        e.g. set 1000ms to load_interval:
        echo 1000 > /proc/mpp_service/load_interval

        """)
    }
    for service in report.services {
      let load = service.load ?? ServiceLoad(window: 0, busy: 0, utilised: 0)
      out.leftWord(service.shortName, 25)
      out.text(" load: ")
      write(load.busy, of: load.window, to: &out)
      out.text(" utilization: ")
      write(load.utilised, of: load.window, to: &out)
      out.newline()
    }
  }

  /// Writes a share as `%3d.%02d%%`, rounded down. Several workers make more than 100 %.
  private static func write(_ part: Int64, of whole: Int64, to out: inout TextWriter) {
    let hundredths = whole > 0 ? UInt64(Double(max(0, part)) / Double(whole) * 10000 + 1e-6) : 0
    out.hundredths(hundredths, width: 3)
    out.byte(0x25)
  }
}

// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `sessions-info`: of `sessions-summary` the tables of the encoders alone, those of one service.
enum SessionsInfoPage {
  static let page = ServicePage("sessions-info", capacity: 1024, "what the encoders on it do") { service, moment, out in
    for session in SessionsSummaryPage.shown(moment) where session.device == service.shortName {
      if let encoder = session.encoder { CodecTable.write(session.index, session.unit, encoder, to: &out) }
    }
  }
}

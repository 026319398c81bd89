// SPDX-License-Identifier: Apache-2.0
import Base
import CPretence
import TestSupport
import Testing

@Suite(.ownThread) struct ProcessorsTests {
  @Test func onlyProcessorsTheThreadMayRunOnAreCounted() throws {
    let before = Processors.available
    #expect(before >= 1)
    let restricted = Background { (pretend_one_processor(), Processors.available) }
    let (error, count) = try restricted.value
    #expect(error == 0)
    #expect(count == 1)
    #expect(Processors.available == before)
  }
}

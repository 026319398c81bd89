// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

/// A device with a rate control of its own, 30 frames a second.
private struct Device {
  /// What it gives of what it is asked for.
  var factor = 1.0
  /// Pictures after which it takes a new rate.
  var delay = 0
  var isDeaf = false
  var gop = 60
  private var questions: [(number: Int, bits: Double)] = []

  init(factor: Double = 1, delay: Int = 0, isDeaf: Bool = false, gop: Int = 60) {
    (self.factor, self.delay, self.isDeaf, self.gop) = (factor, delay, isDeaf, gop)
  }

  mutating func ask(_ bits: Double, _ number: Int) { questions.append((number, bits)) }

  func picture(_ number: Int) -> (isKey: Bool, bits: Double) {
    let heard = isDeaf ? questions.first : questions.last { $0.number + delay <= number } ?? questions.first
    let mean = (heard?.bits ?? 0) * factor / 30
    // A key picture of five others; single ones are a tenth off.
    let other = mean * Double(gop) / Double(gop + 4)
    let isKey = number % gop == 0
    return (isKey, isKey ? 5 * other : other * (number % 2 == 0 ? 0.9 : 1.1))
  }
}

@Suite(.ownThread) struct BitrateSupervisorTests {
  /// What came, 30 pictures a second, and how often something else was asked.
  private func run(
    _ supervisor: inout BitrateSupervisor, _ device: inout Device, _ range: Range<Int>
  ) -> (bits: [Double], asked: [Double]) {
    var (all, asked): ([Double], [Double]) = ([], [])
    for number in range {
      let picture = device.picture(number)
      all.append(picture.bits)
      if supervisor.coded(isKey: picture.isKey, bits: picture.bits, at: Int64(number) * 33_333) {
        device.ask(supervisor.asked, number + 1)
        asked.append(supervisor.asked)
      }
    }
    return (all, asked)
  }

  /// How far the mean is from so many kilobits a second, as a part of it.
  private func miss(_ bits: [Double], of kilobits: Double) -> Double {
    let rate: Double = bits.reduce(0, +) * 30 / Double(bits.count)
    return abs(rate / (kilobits * 1000) - 1)
  }

  private func started(_ device: inout Device, gop: Int = 60) -> BitrateSupervisor {
    let supervisor = BitrateSupervisor(wanted: 2_000_000, gop: gop)
    device.ask(supervisor.asked, -1000)
    return supervisor
  }

  @Test(arguments: [2.3, 3.6, 0.5, 1.2, 0.8], [1, 30, 60, 300])
  func oneThatMissesIsWithinFivePercentAfterFiveSecondsAndDoesNotSwing(factor: Double, gop: Int) {
    var device = Device(factor: factor, gop: gop)
    var supervisor = started(&device, gop: gop)
    let first = run(&supervisor, &device, 0..<150)
    #expect(first.asked.count <= 2, "\(first.asked)")
    let later = run(&supervisor, &device, 150..<750)
    #expect(miss(later.bits, of: 2000) < 0.05)
    #expect(later.asked.isEmpty, "\(later.asked)")
    #expect(supervisor.finding == .met)
    #expect(supervisor.text.contains("2000 kbps are wanted"), "\(supervisor.text)")
  }

  @Test(arguments: [2.3, 0.5]) func oneThatAnswersASecondLateComesHomeToo(factor: Double) {
    var device = Device(factor: factor, delay: 30)
    var supervisor = started(&device)
    _ = run(&supervisor, &device, 0..<240)
    let later = run(&supervisor, &device, 240..<840)
    #expect(miss(later.bits, of: 2000) < 0.05)
    #expect(later.asked.isEmpty, "\(later.asked)")
  }

  @Test func oneThatIsDeafIsSaidToBeAndAskedForWhatIsWanted() {
    var device = Device(factor: 2.3, isDeaf: true)
    var supervisor = started(&device)
    let (_, asked) = run(&supervisor, &device, 0..<450)
    #expect(supervisor.finding == .deaf)
    #expect(asked.last == 2_000_000)
    #expect(supervisor.text.contains("follows no question"), "\(supervisor.text)")
    // It stays so for a while.
    #expect(run(&supervisor, &device, 450..<700).asked.isEmpty)
  }

  @Test func oneThatKeepsItsRateIsLeftAlone() {
    var device = Device()
    var supervisor = started(&device)
    #expect(run(&supervisor, &device, 0..<900).asked.isEmpty)
    #expect(supervisor.finding == .met && supervisor.asked == 2_000_000)
  }

  /// A new wish is asked for with what was learned.
  @Test func whatWasLearnedHoldsForTheNextRate() {
    var device = Device(factor: 2.3)
    var supervisor = started(&device)
    _ = run(&supervisor, &device, 0..<150)
    supervisor.change(wanted: 1_000_000, gop: 60)
    device.ask(supervisor.asked, 150)
    let next = run(&supervisor, &device, 150..<450)
    #expect(miss(next.bits, of: 1000) < 0.05)
    #expect(next.asked.isEmpty)
  }

  @Test func nothingBeyondTheDevicesRangeIsAsked() {
    var device = Device(factor: 0.1)
    var supervisor = BitrateSupervisor(wanted: 2_000_000, gop: 60, range: 100_000...5_000_000)
    device.ask(supervisor.asked, -1000)
    let (_, asked) = run(&supervisor, &device, 0..<900)
    #expect(!asked.isEmpty && asked.allSatisfy { $0 <= 5_000_000 })
  }
}

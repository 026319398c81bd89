// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// What a codec is told (VIDIOC_ENCODER_CMD, VIDIOC_DECODER_CMD).
public enum CodecCommand: UInt32, Sendable {
  case start = 0
  /// Finish what is queued and mark the last buffer.
  case stop = 1
}

public enum CodecCommandAnswer: Sendable, Equatable {
  /// Accepted. Before both queues stream a driver accepts `stop` and does nothing (kernel: `dev-encoder.rst`).
  case accepted
  /// The driver has no such command (ENOTTY): stop the OUTPUT queue instead.
  case unsupported
  /// A drain is going on already.
  case busy
}

extension V4L2Device {
  public func encoder(_ command: CodecCommand) throws(KernelError) -> CodecCommandAnswer {
    var argument = v4l2_encoder_cmd()
    argument.cmd = command.rawValue
    return try answer(attempt(mpifs_VIDIOC_ENCODER_CMD, &argument), "VIDIOC_ENCODER_CMD")
  }

  public func decoder(_ command: CodecCommand) throws(KernelError) -> CodecCommandAnswer {
    var argument = v4l2_decoder_cmd()
    argument.cmd = command.rawValue
    return try answer(attempt(mpifs_VIDIOC_DECODER_CMD, &argument), "VIDIOC_DECODER_CMD")
  }

  private func answer(_ result: CInt, _ name: StaticString) throws(KernelError) -> CodecCommandAnswer {
    if result >= 0 { return .accepted }
    switch -result {
    case ENOTTY: return .unsupported
    case EBUSY: return .busy
    default: throw error(result, name)
    }
  }
}

/// The drain of a stateful codec, as the kernel's stateful codec protocol has it: pure state, no calls.
///
/// STOP -> buffers go on coming -> one is marked LAST (it may be empty, its time stamp then belongs to another frame) ->
/// DQBUF says EPIPE. Either of the last two ends the drain; some drivers give only one. After it the codec is stopped until
/// START, or until a queue is stopped and started.
public struct CodecDrain: Sendable, Equatable {
  public enum State: Sendable, Equatable {
    case running
    /// STOP was accepted; LAST has not come.
    case draining
    /// Nothing more comes.
    case drained
  }
  public private(set) var state = State.running
  public init() {}

  /// The answer to STOP. - Returns: whether the OUTPUT queue must be stopped instead.
  public mutating func stopped(_ answer: CodecCommandAnswer, bothStreaming: Bool) -> Bool {
    switch answer {
    // Accepted and ignored: nothing was ever queued, so nothing comes.
    case .accepted: state = bothStreaming ? .draining : .drained
    case .busy: if state == .running { state = .draining }
    case .unsupported:
      state = .drained
      return true
    }
    return false
  }

  /// A buffer came out. - Returns: whether it holds data: an empty LAST is a mark, not a picture.
  public mutating func took(bytes: Int, flags: BufferFlags) -> Bool {
    if flags.contains(.last) { state = .drained }
    return bytes > 0
  }

  /// DQBUF said EPIPE.
  public mutating func ended() { state = .drained }

  /// START was accepted, or the queues were started anew.
  public mutating func resumed() { state = .running }
}

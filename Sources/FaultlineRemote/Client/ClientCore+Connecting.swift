internal import EventReactor
internal import Faultline

extension ClientCore {
    /// Makes the first connection, and says what the server allows.
    func connect() async throws(RemoteError) -> Terms {
        let result: Result<Terms, RemoteError> = await withTaskCancellationHandler {
            await reactor.suspend { parked in
                let box = FirstConnection(parked)
                reactor.execute { self.begin(box.parked) }
            }
        } onCancel: {
            reactor.execute { self.close(RemoteError.cancelled()) }
        }
        return try result.get()
    }

    private func begin(_ parked: Parked<Result<Terms, RemoteError>>) {
        if let closedBecause {
            return parked.resume(.failure(closedBecause as? RemoteError ?? .closed()))
        }
        firstConnection = parked
        do throws(ReactorError) {
            try reactor.addShutdownParticipant(self)
        } catch {
            return close(RemoteError(error))
        }
        attempt()
    }

    func attempt() {
        phase = .connecting
        deadlineTimer = reactor.startTimer(after: options.connectTimeout, self)
        do throws(ReactorError) {
            stream = try reactor.connectDirectly(to: address, options.connection, self)
        } catch {
            disconnect(RemoteError(error))
        }
    }

    /// Lets go of the connection; unless this was the first, everything waits for the next.
    func disconnect(_ error: RemoteError) {
        guard phase != .closed, phase != .pausing else { return }
        dropConnection()
        guard firstConnection == nil else { return close(error) }
        phase = .pausing
        queue.value.disconnect()
        flushMarks = [:]
        let pause = jittered(backoff.next())
        pauseTimer = reactor.startTimer(after: pause, self)
        if let patience = options.patience, patienceTimer == .none, !hasGivenUp {
            patienceTimer = reactor.startTimer(after: patience, self)
        }
        options.onEvent?(.disconnected(error, retryingAfter: pause))
    }

    private func jittered(_ pause: Duration) -> Duration { pause * Double.random(in: 0.75...1.25) }

    private func dropConnection() {
        stream?.close()
        stream = nil
        handshake = nil
        input.clear()
        output.clear()
        stop(&deadlineTimer)
        stop(&pulseTimer)
    }

    func stop(_ timer: inout TimerID) {
        reactor.cancelTimer(timer)
        timer = .none
    }

    /// Ends everything, for good. Further calls have no effect.
    func close(_ error: any Error) {
        guard phase != .closed else { return }
        phase = .closed
        closedBecause = error
        dropConnection()
        stop(&pauseTimer)
        stop(&patienceTimer)
        reactor.removeShutdownParticipant(self)
        failAll(error)
        firstConnection?.resume(.failure(error as? RemoteError ?? .closed()))
        firstConnection = nil
    }
}

extension ClientCore: TimerHandler {
    func timerFired(_ id: TimerID) {
        switch id {
        case pauseTimer:
            pauseTimer = .none
            attempt()
        case deadlineTimer:
            deadlineTimer = .none
            disconnect(
                RemoteError(
                    .timedOut, "the page server at \(address) did not answer in \(options.connectTimeout)"))
        case patienceTimer:
            patienceTimer = .none
            hasGivenUp = true
            failAll(disconnection)
            options.onEvent?(.gaveUp)
        case pulseTimer: pulse()
        default: break
        }
    }

    /// Asks for a sign of life after a silence, and gives up on the connection after a second one.
    private func pulse() {
        pulseTimer = .none
        if !hasHeard {
            guard !isPinged else {
                return disconnect(
                    RemoteError(
                        .timedOut,
                        "the page server at \(address) has been silent for \(options.keepAlive * 2)"))
            }
            isPinged = true
            send(FrameHeader(.ping))
        }
        hasHeard = false
        if stream != nil { pulseTimer = reactor.startTimer(after: options.keepAlive, self) }
    }
}

extension ClientCore: ShutdownParticipant {
    func reactorShutsDown() { close(RemoteError(ReactorError.shutDown)) }
}

/// Carries the waiting task to the loop.
private struct FirstConnection: Sendable {
    let parked: Parked<Result<Terms, RemoteError>>
    init(_ parked: Parked<Result<Terms, RemoteError>>) { self.parked = parked }
}

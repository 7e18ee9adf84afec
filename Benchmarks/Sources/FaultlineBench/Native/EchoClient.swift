import CBaseline

/// A thread that sends 64 bytes to an echo server, waits for them, and does so again.
@safe struct EchoClient: ~Copyable {
    private let handle: OpaquePointer

    init(port: UInt16, cpu: Int32, limit: Int) throws(RunError) {
        var error: CInt = 0
        guard let handle = unsafe bench_echo_client_start(port, cpu, limit, &error) else {
            throw .failed("The echo client could not be started: \(System.describe(error)).")
        }
        unsafe self.handle = unsafe handle
    }

    deinit { unsafe bench_echo_client_destroy(handle) }

    /// Ends the client. Returns the nanoseconds of each round trip.
    borrowing func stop() throws(RunError) -> [UInt64] {
        let error = unsafe bench_echo_client_stop(handle)
        guard error == 0 else { throw .failed("The echo client was stopped by: \(System.describe(error)).") }
        var latencies = [UInt64](repeating: 0, count: unsafe bench_echo_client_count(handle))
        unsafe bench_echo_client_latencies(handle, &latencies)
        return latencies
    }
}

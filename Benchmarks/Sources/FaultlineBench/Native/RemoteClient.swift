import CBaseline

/// The connection of a client in plain C to a page server.
///
/// `@unchecked Sendable`: used by the one task that makes it, and by the server it is handed to.
@safe final class RemoteClient: @unchecked Sendable {
    let handle: OpaquePointer

    init(port: UInt16, export: String, secret: [UInt8]) throws(RunError) {
        var error: CInt = 0
        guard let made = unsafe bench_remote_connect(port, export, secret, secret.count, &error) else {
            throw .failed("The C client could not connect to the page server: \(System.describe(error)).")
        }
        unsafe handle = made
    }
}

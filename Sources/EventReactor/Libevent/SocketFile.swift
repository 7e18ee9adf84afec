import CLibevent
import Glibc

/// The file of a listening UNIX-domain socket, which no closing removes.
struct SocketFile: Sendable {
    private let path: String
    private let device: UInt64
    private let inode: UInt64

    /// The file at `path`, if it is a socket.
    init?(_ path: String) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return nil }
        self.path = path
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Removes the file, unless another one has taken its place.
    func remove() {
        guard let present = SocketFile(path), present.device == device, present.inode == inode else { return }
        _ = unsafe unlink(path)
    }
}

extension SocketCall {
    /// Binds a socket that is to listen.
    ///
    /// - Returns: the file to be removed at the end, if there is one.
    static func bind(
        _ descriptor: CInt, to address: SocketAddress, _ options: Listener.Options
    ) throws(ReactorError) -> SocketFile? {
        switch address {
        case .ipv6:
            // The system's default may be both families; an address is to mean the same everywhere.
            useOnlyIPv6(descriptor)
            fallthrough
        case .ipv4:
            if options.reusesAddress { set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) }
            if options.sharesPort { set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
            try bind(descriptor, to: address)
            return nil
        case .unix(let path):
            do throws(ReactorError) {
                try bind(descriptor, to: address)
            } catch {
                guard error.code == .addressInUse, options.removesStaleFile,
                    try removeStale(path, options.kind)
                else {
                    throw error
                }
                try bind(descriptor, to: address)
            }
            return SocketFile(path)
        }
    }

    /// Removes a socket's file if nobody listens there.
    private static func removeStale(_ path: String, _ kind: SocketKind) throws(ReactorError) -> Bool {
        guard let file = SocketFile(path) else { return false }
        let probe = try make(for: .unix(path: path), kind)
        defer { close(probe) }
        guard try connect(probe, to: .unix(path: path)) == ECONNREFUSED else { return false }
        file.remove()
        return true
    }
}

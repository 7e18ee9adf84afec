extension UserfaultfdError: CustomStringConvertible {
    /// A sentence: what was asked, of which addresses, what the kernel said, how far it came, and
    /// what to do about it.
    public var description: String {
        var text = "\(operation)"
        if let range { text += " of \(range)" }
        if operation == .open, !refusals.isEmpty {
            text += " was refused: \(refusals)"
        } else {
            text += " failed: \(errno)"
        }
        if bytesDone > 0 { text += " after \(bytesDone) bytes" }
        if !missingFeatures.isEmpty { text += ", for want of \(missingFeatures)" }
        text += "."
        for advice in advice { text += " \(advice)" }
        return text
    }
}

extension UserfaultfdError.Operation: CustomStringConvertible {
    /// What is done, with the C name: `copying (UFFDIO_COPY)`.
    public var description: String {
        switch self {
        case .open: "Opening a userfaultfd"
        case .handshake: "The handshake (UFFDIO_API)"
        case .adopt: "Adopting a userfaultfd (fcntl)"
        case .register: "Registering (UFFDIO_REGISTER)"
        case .unregister: "Unregistering (UFFDIO_UNREGISTER)"
        case .wake: "Waking (UFFDIO_WAKE)"
        case .copy: "Copying (UFFDIO_COPY)"
        case .zero: "Zeroing (UFFDIO_ZEROPAGE)"
        case .poison: "Poisoning (UFFDIO_POISON)"
        case .writeProtect: "Write-protection (UFFDIO_WRITEPROTECT)"
        case .mapExisting: "Mapping existing pages (UFFDIO_CONTINUE)"
        case .move: "Moving (UFFDIO_MOVE)"
        case .read: "Reading messages (read)"
        case .status: "Reading the status (/proc/self/fdinfo)"
        case .openPagemap: "Opening a pagemap"
        case .scan: "Scanning pages (PAGEMAP_SCAN)"
        case .readPagemap: "Reading a pagemap"
        case .relay: "Starting the thread that reads messages"
        default: "Operation \(rawValue)"
        }
    }
}

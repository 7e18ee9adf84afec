internal import CUserfaultfd

/// The calls into C, one for each ioctl; plain integers in and out.
enum Kernel {
    static var pageSize: Int { Int(cuserfaultfd_page_size()) }

    static var threadID: UInt32 { cuserfaultfd_thread_id() }

    /// The descriptor, or a negated errno.
    static func open(_ access: Userfaultfd.Access) -> CInt {
        switch access {
        case .deviceNode: cuserfaultfd_open_device()
        case .systemCall: cuserfaultfd_open_call(0)
        case .userModeOnly: cuserfaultfd_open_call(1)
        }
    }

    static func close(_ descriptor: CInt) {
        cuserfaultfd_close(descriptor)
    }

    /// 0 or an errno.
    static func setFlags(_ descriptor: CInt) -> CInt {
        cuserfaultfd_set_flags(descriptor)
    }

    static func handshake(
        _ descriptor: CInt, _ features: Features
    ) -> (error: CInt, features: Features, operations: Operations) {
        let answer = cuserfaultfd_api(descriptor, features.rawValue)
        return (answer.error, Features(rawValue: answer.features), Operations(rawValue: answer.operations))
    }

    static func register(
        _ descriptor: CInt, _ range: AddressRange, _ modes: RegistrationModes
    ) -> (error: CInt, operations: Operations) {
        let answer = cuserfaultfd_register(descriptor, range.from, range.length, modes.rawValue)
        return (answer.error, Operations(rawValue: answer.operations))
    }

    static func unregister(_ descriptor: CInt, _ range: AddressRange) -> CInt {
        cuserfaultfd_unregister(descriptor, range.from, range.length)
    }

    static func wake(_ descriptor: CInt, _ range: AddressRange) -> CInt {
        cuserfaultfd_wake(descriptor, range.from, range.length)
    }

    static func writeProtect(_ descriptor: CInt, _ range: AddressRange, _ mode: UInt64) -> Outcome {
        // This ioctl has no output field.
        let error = cuserfaultfd_writeprotect(descriptor, range.from, range.length, mode)
        return Outcome(operation: .writeProtect, range: range, error: error, done: 0)
    }

    static func copy(_ descriptor: CInt, _ source: UInt, _ range: AddressRange, _ mode: UInt64) -> Outcome {
        let answer = cuserfaultfd_copy(descriptor, range.from, UInt64(source), range.length, mode)
        return Outcome(operation: .copy, range: range, error: answer.error, done: answer.done)
    }

    static func zero(_ descriptor: CInt, _ range: AddressRange, _ mode: UInt64) -> Outcome {
        let answer = cuserfaultfd_zeropage(descriptor, range.from, range.length, mode)
        return Outcome(operation: .zero, range: range, error: answer.error, done: answer.done)
    }

    static func mapExisting(_ descriptor: CInt, _ range: AddressRange, _ mode: UInt64) -> Outcome {
        let answer = cuserfaultfd_continue(descriptor, range.from, range.length, mode)
        return Outcome(operation: .mapExisting, range: range, error: answer.error, done: answer.done)
    }

    static func poison(_ descriptor: CInt, _ range: AddressRange, _ mode: UInt64) -> Outcome {
        let answer = cuserfaultfd_poison(descriptor, range.from, range.length, mode)
        return Outcome(operation: .poison, range: range, error: answer.error, done: answer.done)
    }

    static func move(_ descriptor: CInt, _ source: UInt, _ range: AddressRange, _ mode: UInt64) -> Outcome {
        let answer = cuserfaultfd_move(descriptor, range.from, UInt64(source), range.length, mode)
        return Outcome(operation: .move, range: range, error: answer.error, done: answer.done)
    }

    static func status(_ descriptor: CInt) -> (error: CInt, status: UserfaultfdStatus) {
        let answer = cuserfaultfd_read_status(descriptor)
        // Bit 31 is the kernel's own mark that the handshake is done.
        let initialised: UInt64 = 1 << 31
        let status = UserfaultfdStatus(
            pending: Int(clamping: answer.pending), total: Int(clamping: answer.total),
            features: Features(rawValue: answer.features & ~initialised),
            operations: Operations(rawValue: answer.operations),
            isEnabled: answer.features & initialised != 0)
        return (answer.error, status)
    }
}

extension AddressRange {
    fileprivate var from: UInt64 { UInt64(start) }
    fileprivate var length: UInt64 { UInt64(UInt(bitPattern: byteCount)) }
}

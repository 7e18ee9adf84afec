import EventReactor
import Userfault

/// Puts together what a peer hands over, message by message. Pure: no clock, no socket.
struct HandoverReader {
    /// All that was handed over, checked.
    struct Handed {
        let description: MemoryDescription
        let descriptor: OwnedDescriptor
        let features: Features
        let otherDescriptors: [OwnedDescriptor]
    }

    let options: AdoptionListener.Options
    private var bytes: [UInt8] = []
    private var descriptors: [OwnedDescriptor] = []

    init(_ options: AdoptionListener.Options) {
        self.options = options
    }

    /// How many bytes the next message may have; one more than is allowed, so that too many are noticed.
    var byteLimit: Int { max(1, options.byteLimit) + 1 - bytes.count }

    /// How many descriptors it may have.
    var descriptorLimit: Int { max(1, options.descriptorLimit) - descriptors.count }

    /// Takes a message in.
    ///
    /// - Returns: nil as long as something is missing.
    mutating func add(_ message: MessageSocket.Message) throws(HandoverError) -> Handed? {
        bytes += message.bytes
        descriptors += message.descriptors
        guard bytes.count <= max(1, options.byteLimit) else { throw HandoverError(.tooLong) }
        let decoded: MemoryDescription?
        do {
            decoded = try options.format.decode(bytes)
        } catch {
            throw HandoverError(.malformed, error)
        }
        guard let decoded else { return nil }
        do throws(MemoryDescriptionError) {
            try decoded.check(options.limits)
        } catch {
            throw HandoverError(.tooMuch, error)
        }
        guard let descriptor = descriptors.first else { throw HandoverError(.noDescriptor) }
        return Handed(
            description: decoded, descriptor: descriptor, features: try features(of: descriptor),
            otherDescriptors: Array(descriptors.dropFirst()))
    }

    /// What a descriptor is enabled with, if it is an enabled userfaultfd.
    private func features(of descriptor: OwnedDescriptor) throws(HandoverError) -> Features {
        do throws(UserfaultfdError) {
            let status = try withExtendedLifetime(descriptor) { () throws(UserfaultfdError) in
                try UserfaultfdStatus(ofDescriptor: descriptor.fileDescriptor)
            }
            guard status.isEnabled else {
                throw UserfaultfdError(operation: .adopt, errno: .invalidArgument)
            }
            return status.features
        } catch {
            throw HandoverError(.badDescriptor, error)
        }
    }
}

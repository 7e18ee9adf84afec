/// Why an image is not what it should be.
public struct ImageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of error.
    public enum Code: Hashable, Sendable {
        /// It does not begin with the numbers that it should begin with.
        case wrongKind
        /// It ends in the middle of something.
        case truncated
        /// A record is no message of the kind that is expected.
        case malformed
        /// A number lies beyond what there can be.
        case outOfRange
        /// It needs something that is not supported.
        case unsupported
    }

    /// The kind of error.
    public var code: Code
    /// Where in the image, in bytes.
    public var offset: Int
    /// The image's name, once it is known.
    public var image: String?
    private var detail: String

    init(_ code: Code, _ detail: String, at offset: Int) {
        self.code = code
        self.detail = detail
        self.offset = offset
    }

    /// The same error, of the image with this name.
    public func of(_ image: String) -> ImageError {
        var error = self
        error.image = image
        return error
    }

    /// A sentence that says what is wrong, and where.
    public var description: String { "\(image ?? "the image"): \(detail) (at byte \(offset))" }
}

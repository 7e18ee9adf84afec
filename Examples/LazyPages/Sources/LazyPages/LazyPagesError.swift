/// Why pages cannot be served.
struct LazyPagesError: Error, Sendable, CustomStringConvertible {
    /// The kinds of error.
    enum Code: Hashable, Sendable {
        /// The restore said something else than it should, or sent what it should not.
        case badRestore
        /// The restore ended before it was complete.
        case restoreFailed
        /// An image cannot be read.
        case unreadableImage
        /// The page server answered something else than it was asked for.
        case badPageServer
        /// The page server is gone.
        case pageServerLost
        /// The page server has not answered for too long.
        case pageServerStalled
        /// Pages could not be supplied.
        case pagesLost
        /// A signal asked for the end.
        case interrupted
        /// What was asked for cannot be done.
        case badOptions
    }

    /// The kind of error.
    var code: Code
    /// A sentence that says what happened.
    var description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}

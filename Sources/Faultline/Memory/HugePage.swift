/// The huge pages that are known here.
enum HugePage {
    /// The size in bytes of the smaller ones, which anonymous memory gets where nothing else is said.
    static let size = 2 << 20
}

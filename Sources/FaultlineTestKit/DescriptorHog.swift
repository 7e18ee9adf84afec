/// Uses up the process's descriptors. For exit tests: everything else in the process is short of them too.
public enum DescriptorHog {
    /// Runs `body` while no descriptor can be opened.
    public static func withFullTable<E: Error>(_ body: () async throws(E) -> Void) async throws(E) {
        let hogs = ThreadCalls.openUntilFull()
        defer { ThreadCalls.closeAll(hogs) }
        try await body()
    }
}

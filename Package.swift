// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors where the project itself is checked; nobody else is to be held up by those of a new compiler.
let warnings: [SwiftSetting] =
    Context.environment["FAULTLINE_STRICT"] == nil ? [] : [.treatAllWarnings(as: .error)]
let strict: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .strictMemorySafety(),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + warnings

let package = Package(
    name: "faultline",
    products: [
        .library(name: "Userfault", targets: ["Userfault"]),
        .library(name: "EventReactor", targets: ["EventReactor"]),
        .library(name: "Faultline", targets: ["Faultline"]),
        .library(name: "FaultlineRemote", targets: ["FaultlineRemote"]),
        .library(name: "FaultlineOperations", targets: ["FaultlineOperations"]),
        .library(name: "FaultlineTestKit", targets: ["FaultlineTestKit"]),
    ],
    // Off by default: whoever does not ask for them fetches none of the packages below.
    traits: [
        .trait(name: "Logging", description: "FaultlineOperations writes failures to a Logger of swift-log."),
        .trait(name: "Metrics", description: "FaultlineOperations reports counters to swift-metrics."),
        .trait(
            name: "ServiceLifecycle",
            description: "FaultlineOperations makes a pager a Service of swift-service-lifecycle."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.5.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.6.0"),
    ],
    targets: [
        // C, and nothing else of C: the kernel's interface, what a signal handler runs, and libevent.
        .target(name: "CUserfaultfd"),
        .target(name: "CInThread", dependencies: ["CUserfaultfd"]),
        .systemLibrary(
            name: "CLibevent", pkgConfig: "libevent_core", providers: [.apt(["libevent-dev"])]),

        // A thread in C that reads messages, for when a thread that holds the allocator's locks waits for that.
        .target(name: "CRelay"),

        .target(name: "Userfault", dependencies: ["CRelay", "CUserfaultfd"], swiftSettings: strict),
        .target(name: "EventReactor", dependencies: ["CLibevent"], swiftSettings: strict),
        .target(
            name: "Faultline", dependencies: ["CInThread", "EventReactor", "Userfault"], swiftSettings: strict
        ),
        // CRC-32C in C: the processor has an instruction for it.
        .target(name: "CChecksum"),
        .target(
            name: "FaultlineRemote", dependencies: ["CChecksum", "EventReactor", "Faultline", "Userfault"],
            swiftSettings: strict),
        .target(
            name: "FaultlineOperations",
            dependencies: [
                "EventReactor", "Faultline", "Userfault",
                .product(name: "Logging", package: "swift-log", condition: .when(traits: ["Logging"])),
                .product(name: "Metrics", package: "swift-metrics", condition: .when(traits: ["Metrics"])),
                .product(
                    name: "ServiceLifecycle", package: "swift-service-lifecycle",
                    condition: .when(traits: ["ServiceLifecycle"])),
            ],
            swiftSettings: strict),
        .target(
            name: "FaultlineTestKit", dependencies: ["EventReactor", "Faultline", "Userfault"],
            swiftSettings: strict),

        // Raw memory, threads and forks for tests.
        .target(name: "CTestSupport", dependencies: ["CInThread"], path: "Tests/CTestSupport"),
        .testTarget(
            name: "UserfaultTests", dependencies: ["CTestSupport", "FaultlineTestKit", "Userfault"],
            swiftSettings: strict),
        // The kernel's own cases, one test each, against the kernel that runs.
        .testTarget(
            name: "ConformanceTests",
            dependencies: ["CTestSupport", "EventReactor", "FaultlineTestKit", "Userfault"],
            swiftSettings: strict),
        .testTarget(
            name: "EventReactorTests", dependencies: ["CLibevent", "CTestSupport", "EventReactor"],
            swiftSettings: strict),
        .testTarget(
            name: "FaultlineTests",
            dependencies: [
                "CLibevent", "CTestSupport", "EventReactor", "Faultline", "FaultlineTestKit", "Userfault",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "FaultlineOperationsTests",
            dependencies: [
                "EventReactor", "Faultline", "FaultlineOperations", "FaultlineTestKit", "Userfault",
                .product(name: "Logging", package: "swift-log", condition: .when(traits: ["Logging"])),
                .product(name: "Metrics", package: "swift-metrics", condition: .when(traits: ["Metrics"])),
                .product(
                    name: "ServiceLifecycle", package: "swift-service-lifecycle",
                    condition: .when(traits: ["ServiceLifecycle"])),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "FaultlineRemoteTests",
            dependencies: [
                "CTestSupport", "EventReactor", "Faultline", "FaultlineRemote", "FaultlineTestKit",
                "Userfault",
            ],
            swiftSettings: strict),
    ]
)

// The documentation plugin is for `make docs`: packages that depend on this one never fetch it.
if Context.environment["FAULTLINE_DOCC"] != nil {
    package.dependencies.append(
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"))
}

// What `make instructions` runs. It stands between the pager and the kernel, as nobody outside of this package can.
if Context.environment["FAULTLINE_INSTRUCTIONS"] != nil {
    package.targets.append(
        .executableTarget(
            name: "Instructions",
            dependencies: ["EventReactor", "Faultline", "FaultlineTestKit", "Userfault"],
            path: "Benchmarks/Instructions", swiftSettings: strict))
}

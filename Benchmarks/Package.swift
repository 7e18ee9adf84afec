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
    name: "faultline-benchmarks",
    products: [
        .executable(name: "faultline-bench", targets: ["FaultlineBench"]),
        .executable(name: "faultline-stress", targets: ["FaultlineStress"]),
    ],
    dependencies: [
        .package(name: "faultline", path: ".."),
        // Programs that are measured as they run elsewhere.
        .package(name: "faultline-examples", path: "../Examples"),
        // The loop that most servers in Swift have, to be compared with.
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.80.0"),
    ],
    targets: [
        // Faulting threads, counters, and the loops in plain C that Faultline is compared with.
        .target(name: "CBaseline"),
        .executableTarget(
            name: "FaultlineBench",
            dependencies: [
                "CBaseline",
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "FaultlineRemote", package: "faultline"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Userfault", package: "faultline"),
                .product(name: "snapshot-server", package: "faultline-examples"),
                .product(name: "lazy-restore", package: "faultline-examples"),
                .product(name: "monitor-stand-in", package: "faultline-examples"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "FaultlineBenchTests", dependencies: ["FaultlineBench"], swiftSettings: strict),
        // Threads, settings and signals of the stress program.
        .target(name: "CStress"),
        .executableTarget(
            name: "FaultlineStress",
            dependencies: [
                "CStress",
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "Userfault", package: "faultline"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "FaultlineStressTests",
            dependencies: [
                "CStress", "FaultlineStress",
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "Userfault", package: "faultline"),
            ],
            swiftSettings: strict),
    ]
)

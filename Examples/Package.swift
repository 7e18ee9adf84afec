// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors where the project itself is checked; nobody else is to be held up by those of a new compiler.
let warnings: [SwiftSetting] =
    Context.environment["FAULTLINE_STRICT"] == nil ? [] : [.treatAllWarnings(as: .error)]
let strict: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + warnings

let package = Package(
    name: "faultline-examples",
    products: [
        .executable(name: "lazy-restore", targets: ["LazyRestore"]),
        .executable(name: "beyond-memory", targets: ["BeyondMemory"]),
        .executable(name: "lazy-pages", targets: ["LazyPages"]),
        .executable(name: "monitor-stand-in", targets: ["monitor-stand-in"]),
        .executable(name: "snapshot-server", targets: ["SnapshotServer"]),
        .library(name: "CheckpointImages", targets: ["CheckpointImages"]),
        .executable(name: "page-server", targets: ["PageServer"]),
        .executable(name: "remote-memory", targets: ["RemoteMemory"]),
    ],
    dependencies: [
        .package(name: "faultline", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.5.0"),
    ],
    targets: [
        .executableTarget(
            name: "LazyRestore",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "Userfault", package: "faultline"),
            ],
            path: "LazyRestore/Sources", swiftSettings: strict),
        // A virtual machine monitor, as far as its snapshot's memory is concerned.
        .executableTarget(name: "monitor-stand-in", path: "LazyRestore/StandIn"),
        .testTarget(
            name: "LazyRestoreTests",
            dependencies: [
                "LazyRestore", "monitor-stand-in",
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "Userfault", package: "faultline"),
            ],
            path: "LazyRestore/Tests", swiftSettings: strict),
        // What is read of a checkpoint's images, and said to a page server: pure, so that it can be fuzzed.
        .target(
            name: "CheckpointImages", path: "LazyPages/Sources/CheckpointImages", swiftSettings: strict),
        .executableTarget(
            name: "LazyPages",
            dependencies: [
                "CheckpointImages",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "Userfault", package: "faultline"),
            ],
            path: "LazyPages/Sources/LazyPages", swiftSettings: strict),
        // A restore, and a page server, as far as lazy pages are concerned.
        .executableTarget(name: "restore-stand-in", path: "LazyPages/StandIn"),
        .testTarget(
            name: "LazyPagesTests",
            dependencies: [
                "CheckpointImages", "LazyPages", "restore-stand-in",
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "Userfault", package: "faultline"),
            ],
            path: "LazyPages/Tests", swiftSettings: strict),
        .executableTarget(
            name: "PageServer",
            dependencies: [
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "FaultlineRemote", package: "faultline"),
            ],
            path: "PageServer/Sources", swiftSettings: strict),
        .executableTarget(
            name: "RemoteMemory",
            dependencies: [
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "FaultlineRemote", package: "faultline"),
            ],
            path: "RemoteMemory/Sources", swiftSettings: strict),
        // Runs both programs, end to end.
        .testTarget(
            name: "RemoteMemoryTests",
            dependencies: [
                "PageServer", "RemoteMemory",
                .product(name: "FaultlineTestKit", package: "faultline"),
                .product(name: "Userfault", package: "faultline"),
            ],
            path: "RemoteMemory/Tests", swiftSettings: strict),
        .executableTarget(
            name: "BeyondMemory",
            dependencies: [
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
            ],
            path: "BeyondMemory/Sources", swiftSettings: strict),
        .testTarget(
            name: "BeyondMemoryTests",
            dependencies: [
                "BeyondMemory",
                .product(name: "FaultlineTestKit", package: "faultline"),
                .product(name: "Userfault", package: "faultline"),
            ],
            path: "BeyondMemory/Tests", swiftSettings: strict),
        // Keys and values in memory, and what clients say: pure, so that damaged images can be tried.
        .target(
            name: "KeyValueStore", path: "SnapshotServer/Sources/KeyValueStore", swiftSettings: strict),
        // fork(2) and a child that writes: what the server is compared with.
        .target(name: "CForkedImage", path: "SnapshotServer/Sources/CForkedImage"),
        .executableTarget(
            name: "SnapshotServer",
            dependencies: [
                "CForkedImage", "KeyValueStore",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "EventReactor", package: "faultline"),
                .product(name: "Faultline", package: "faultline"),
                .product(name: "Userfault", package: "faultline"),
            ],
            path: "SnapshotServer/Sources/SnapshotServer", swiftSettings: strict),
        .testTarget(
            name: "SnapshotServerTests", dependencies: ["KeyValueStore", "SnapshotServer"],
            path: "SnapshotServer/Tests", swiftSettings: strict),
    ]
)

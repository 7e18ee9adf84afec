// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "faultline-examples",
    products: [
        .executable(name: "lazy-restore", targets: ["LazyRestore"])
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
    ]
)

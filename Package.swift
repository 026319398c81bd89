// swift-tools-version: 6.2
import PackageDescription

// CI builds with warnings as errors; a user's older or newer compiler must not stop at a new warning.
let strict: [SwiftSetting] =
  Context.environment["MPIFS_WARNINGS_AS_ERRORS"] == "1" ? [.treatAllWarnings(as: .error)] : []

// What `mpifs --version` prints. mount/start and Tests/run pass both. Context.gitInformation would not do: SwiftPM caches the
// manifest, so it names an older commit until Package.swift changes.
let commit = Context.environment["MPIFS_COMMIT"]
let buildTime = Context.environment["MPIFS_BUILD_TIME"]
// The program for the kernel that CBPF takes in, compiled by mount/setup.sh: SwiftPM has no target for BPF.
let bpfProgram = Context.environment["MPIFS_BPF"]

// The C library checks the sizes of buffers then; it wants optimisation for that.
let fortified: [CSetting] = [.define("_FORTIFY_SOURCE", to: "2", .when(configuration: .release))]

let atomics: Target.Dependency = .product(name: "Atomics", package: "swift-atomics")
let collections: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let package = Package(
  name: "mpifs",
  products: [
    .executable(name: "mpifs", targets: ["mpifs"]),
    .library(name: "NodeFS", targets: ["NodeFS"]),
    .library(name: "MediaRuntime", targets: ["MediaRuntime"]),
  ],
  traits: [
    .trait(name: "X264", description: "H.264 encoding with x264 (makes the binary GPL)"),
    .trait(name: "X265", description: "H.265 encoding with x265 (makes the binary GPL)"),
    .trait(name: "FFmpeg", description: "Media files and software decoding with FFmpeg (Debian's build is GPL)"),
    .default(enabledTraits: ["X264", "X265", "FFmpeg"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-atomics", exact: "1.3.0"),
    .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
    .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
  ],
  targets: [
    // MARK: C doors, one for each C library

    .systemLibrary(name: "CFuse3", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
    .systemLibrary(name: "COpenH264", pkgConfig: "openh264", providers: [.apt(["libopenh264-dev"])]),
    .systemLibrary(name: "CTurboJPEG", pkgConfig: "libturbojpeg", providers: [.apt(["libturbojpeg0-dev"])]),
    .systemLibrary(name: "CYUV", providers: [.apt(["libyuv-dev"])]),
    // No pkgConfig: its -DX264_API_IMPORTS is a flag SwiftPM refuses, and the library is in the default paths.
    .systemLibrary(name: "CX264", providers: [.apt(["libx264-dev"])]),
    // No pkgConfig: the library is in the default paths, and a build without the trait needs none of it.
    .systemLibrary(name: "CX265", providers: [.apt(["libx265-dev"])]),
    .systemLibrary(name: "CDRM", pkgConfig: "libdrm", providers: [.apt(["libdrm-dev"])]),
    .systemLibrary(name: "CFreeType", pkgConfig: "freetype2", providers: [.apt(["libfreetype-dev"])]),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .systemLibrary(name: "CV4LConvert", pkgConfig: "libv4lconvert", providers: [.apt(["libv4l-dev"])]),
    .target(name: "CLinux", cSettings: fortified),
    // Kernels for pictures, which ask the processor for what it has.
    .target(name: "CPictures", cSettings: fortified),
    // Loops over pixels, with the instructions of the processor it runs on.
    .target(name: "CPainting"),
    .target(name: "CPNGReader", dependencies: ["CPNG"], cSettings: fortified),
    .target(
      name: "CBuildInfo",
      cSettings: [
        .define("MPIFS_TRAIT_FFMPEG", .when(traits: ["FFmpeg"])),
        .define("MPIFS_TRAIT_X264", .when(traits: ["X264"])),
        .define("MPIFS_TRAIT_X265", .when(traits: ["X265"])),
      ] + (commit.map { [.define("MPIFS_COMMIT", to: "\"\($0)\"")] } ?? [])
        + (buildTime.map { [.define("MPIFS_BUILD_TIME", to: "\"\($0)\"")] } ?? [])),
    // FFmpeg costs 50 ms and 27 MB, so its libraries are loaded on first use; only its headers are needed here.
    .target(name: "CMediaFile", cSettings: fortified + [.define("MPIFS_FFMPEG", .when(traits: ["FFmpeg"]))]),

    // libbpf is opened at the first use and never linked; only its headers are needed here, and where there are none it is left out.
    .target(
      name: "CBPF", exclude: ["program"],
      cSettings: fortified + (bpfProgram.map { [.define("MPIFS_BPF", to: "\"\($0)\"")] } ?? [])),

    // MARK: the house; imports run downward only

    .target(name: "Base", dependencies: ["CLinux", atomics, system], swiftSettings: strict),
    .target(name: "Reports", swiftSettings: strict),
    .target(name: "MediaCore", dependencies: ["Base", "Reports", system], swiftSettings: strict),
    .target(name: "LinuxMedia", dependencies: ["CLinux", "CDRM", "CV4LConvert", system], swiftSettings: strict),
    .target(
      name: "Devices", dependencies: ["Base", "MediaCore", "LinuxMedia", "CLinux", "CBPF", system],
      swiftSettings: strict),
    .target(
      name: "Codecs",
      dependencies: [
        "Base", "MediaCore", "COpenH264", "CTurboJPEG", "CYUV", "CMediaFile", "CPictures", "CPainting", "CPNGReader",
        "CFreeType",
        .target(name: "CX264", condition: .when(traits: ["X264"])),
        .target(name: "CX265", condition: .when(traits: ["X265"])), system,
      ], swiftSettings: strict),
    .target(
      name: "MediaRuntime", dependencies: ["Base", "MediaCore", "Reports", collections, system], swiftSettings: strict),
    .target(name: "NodeText", dependencies: ["Reports"], swiftSettings: strict),
    .target(
      name: "NodeFS", dependencies: ["Base", "CFuse3", collections, system], exclude: ["SEMANTICS.md"],
      swiftSettings: strict),
    .target(
      name: "DebugTree", dependencies: ["NodeFS", "NodeText", "MediaRuntime", "MediaCore", "Reports", system],
      swiftSettings: strict),
    .executableTarget(
      name: "mpifs",
      dependencies: [
        "Base", "DebugTree", "Codecs", "Devices", "NodeFS", "MediaRuntime", "CBuildInfo", "CLinux", system,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      // A link to mount/mpifs.conf: the default configuration travels in the program.
      resources: [.embedInCode("mpifs.conf")], swiftSettings: strict),

    // MARK: tests

    // What every test target uses: tests on threads of their own, time limits, waiting.
    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
    .testTarget(name: "TestSupportTests", dependencies: ["TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "BaseTests", dependencies: ["TestSupport", "Base", "CAllocationCount", "CPretence"], swiftSettings: strict),
    .testTarget(name: "MediaCoreTests", dependencies: ["TestSupport", "MediaCore", "Devices"], swiftSettings: strict),
    .testTarget(
      name: "LinuxMediaTests", dependencies: ["TestSupport", "LinuxMedia", "CLinux", system], swiftSettings: strict),
    .testTarget(
      name: "DevicesTests",
      dependencies: [
        "TestSupport", "Devices", "LinuxMedia", "CLinux", "CBPF", "CDRM", "MediaRuntime", "Codecs", system,
      ], exclude: ["Recorded"],
      swiftSettings: strict),
    // Counts heap calls of a thread, for tests that say a steady state makes none.
    .target(name: "CAllocationCount", path: "Tests/CAllocationCount"),
    // Pretends to a thread that the machine is another: another wall clock, fewer processors.
    .target(name: "CPretence", path: "Tests/CPretence"),
    // Loops in a processor's own instructions beside plain ones: for the tests, and for a program on processors of another kind.
    .target(
      name: "KernelChecks", dependencies: ["MediaCore", "CPictures", "CPainting"], path: "Tests/KernelChecks",
      swiftSettings: strict),
    .testTarget(
      name: "CodecsTests",
      dependencies: [
        "TestSupport", "KernelChecks", "Base", "Codecs", "Devices", "CTurboJPEG", "CPictures", "CPainting",
        "CAllocationCount", "CPretence",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "MediaRuntimeTests",
      dependencies: ["TestSupport", "Base", "MediaRuntime", "Codecs", "Devices", "CAllocationCount"],
      swiftSettings: strict),
    .testTarget(
      name: "NodeTextTests", dependencies: ["TestSupport", "NodeText"], exclude: ["Golden"], swiftSettings: strict),
    .testTarget(name: "NodeFSTests", dependencies: ["TestSupport", "NodeFS", "Base"], swiftSettings: strict),
    .testTarget(
      name: "DebugTreeTests", dependencies: ["TestSupport", "DebugTree", "Devices", "Codecs"], swiftSettings: strict),
    .testTarget(name: "MountedTests", dependencies: ["TestSupport"], swiftSettings: strict),

    // Serves a small tree without any media: what NodeFS's own mounted tests and a new user of the library start from.
    .executableTarget(
      name: "nodefs-sample", dependencies: ["NodeFS"], path: "Tests/NodeFSSample", swiftSettings: strict),
    // Runs in the guest of Tests/guest, against real kernel drivers.
    .executableTarget(
      name: "guest-devices", dependencies: ["Devices", "LinuxMedia", "MediaCore", system], path: "Tests/guest/Devices",
      swiftSettings: strict),
    // Compares there, on a processor of another kind too, what is written with its own instructions.
    .executableTarget(
      name: "guest-kernels", dependencies: ["KernelChecks", "CPictures"], path: "Tests/guest/Kernels",
      swiftSettings: strict),
    // Says there what a screen shows.
    .executableTarget(name: "guest-screen", dependencies: ["CDRM"], path: "Tests/guest/Screen", swiftSettings: strict),
    // What scaling is measured beside.
    .systemLibrary(name: "CSwscale", path: "Tests/CSwscale", providers: [.apt(["libswscale-dev"])]),
    .executableTarget(
      name: "mpifs-bench",
      dependencies: [
        "Base", "MediaRuntime", "NodeText", "Codecs", "Devices", "CYUV",
        .target(name: "CSwscale", condition: .when(traits: ["FFmpeg"])),
      ], path: "Tests/Benchmarks", exclude: ["thresholds"], swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)

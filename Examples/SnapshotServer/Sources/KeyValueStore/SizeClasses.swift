/// The sizes that blocks have: multiples of 32 bytes, from 256 on four to each doubling, so that a quarter of a block at most is
/// of no use. What is left of a block that is divided is a sum of sizes again.
enum SizeClasses {
    /// What every size and offset is a multiple of.
    static let grain = 32
    static let sizes: [Int] = {
        var sizes = Array(stride(from: 32, through: 256, by: 32))
        var base = 256
        while base < 1 << 40 {
            for quarter in 1...4 { sizes.append(base + base / 4 * quarter) }
            base *= 2
        }
        return sizes
    }()

    /// The smallest class for so many bytes; nil if there is none.
    static func index(fitting byteCount: Int) -> Int? {
        let index = partition { $0 >= byteCount }
        return index < sizes.count ? index : nil
    }

    /// The largest class within so many bytes, which are at least one grain.
    static func index(within byteCount: Int) -> Int { partition { $0 > byteCount } - 1 }

    /// The first index whose size satisfies what all larger ones do.
    private static func partition(_ isBeyond: (Int) -> Bool) -> Int {
        var (low, high) = (0, sizes.count)
        while low < high {
            let middle = (low + high) / 2
            if isBeyond(sizes[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

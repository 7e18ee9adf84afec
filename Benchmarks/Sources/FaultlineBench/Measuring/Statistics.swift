import Glibc

/// Order statistics of small and large samples.
enum Statistics {
    /// The middle of the values, or the mean of the two in the middle; 0 when there are none.
    static func median(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return 0 }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    /// The smallest value that at least the fraction `q` of the ascending values does not exceed (nearest rank).
    static func quantile(_ q: Double, ofSorted values: [UInt64]) -> UInt64 {
        guard !values.isEmpty else { return 0 }
        let rank = Int((q * Double(values.count)).rounded(.up))
        return values[min(max(rank, 1), values.count) - 1]
    }
}

/// Where many measured times lie.
struct Distribution: Equatable {
    var p50: Double
    var p99: Double
    /// The times at `Distribution.places`, for the curve in the page of plots.
    var curve: [Double]

    /// Evenly spread over the 'nines': 0, 0.5, 0.9, 0.99, … lie at equal distances.
    static let places: [Double] = (0...48).map { 1 - pow(10, -Double($0) / 12) }

    init(p50: Double, p99: Double, curve: [Double]) {
        self.p50 = p50
        self.p99 = p99
        self.curve = curve
    }

    init(_ times: [UInt64]) {
        let sorted = times.sorted()
        p50 = Double(Statistics.quantile(0.5, ofSorted: sorted))
        p99 = Double(Statistics.quantile(0.99, ofSorted: sorted))
        curve = Distribution.places.map { Double(Statistics.quantile($0, ofSorted: sorted)) }
    }
}

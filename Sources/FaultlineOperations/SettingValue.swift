import Faultline

/// What the texts of settings mean; nil for what means nothing.
enum SettingValue {
    static func number(_ text: String, _ range: ClosedRange<Int>) -> Int? {
        guard let number = Int(text), range.contains(number) else { return nil }
        return number
    }

    static func flag(_ text: String) -> Bool? {
        switch text {
        case "true", "1", "yes", "on": true
        case "false", "0", "no", "off": false
        default: nil
        }
    }

    /// A whole number and its unit; a number alone is zero or nothing.
    static func duration(_ text: String) -> Duration? {
        let units: [(String, (Int) -> Duration, Int)] = [
            ("ns", { .nanoseconds($0) }, 1), ("us", { .microseconds($0) }, 1000),
            ("µs", { .microseconds($0) }, 1000), ("ms", { .milliseconds($0) }, 1_000_000),
            ("s", { .seconds($0) }, 1_000_000_000),
        ]
        if text == "0" { return .zero }
        for (unit, make, nanoseconds) in units where text.hasSuffix(unit) {
            // Up to a day: more is a slip of the pen.
            guard let count = Int(text.dropLast(unit.count)), count >= 0,
                count <= 86_400_000_000_000 / nanoseconds
            else { return nil }
            return make(count)
        }
        return nil
    }

    static func bytes(_ text: String) -> Int? {
        var (digits, factor) = (text[...], 1)
        for (suffix, scale) in [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        where text.hasSuffix(suffix) {
            (digits, factor) = (text.dropLast(suffix.count), scale)
        }
        guard let count = Int(digits), count >= 0 else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: factor)
        return overflow || bytes > 1 << 46 ? nil : bytes
    }

    static func failurePolicy(_ text: String) -> FailurePolicy? {
        switch text {
        case "poison": return .poison
        case "stop": return .stop
        default:
            guard text.hasPrefix("retry:"), let times = number(String(text.dropFirst(6)), 1...1_000_000)
            else {
                return nil
            }
            return .retry(limit: times)
        }
    }
}

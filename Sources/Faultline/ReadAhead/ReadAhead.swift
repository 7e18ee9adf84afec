/// Guesses which pages of a region will be asked for next, from the faults on it: a pure state machine.
///
/// Several streams are followed at once, ascending, descending or in strides. What is filled ahead of a stream doubles each
/// time its next fault comes where it was expected, up to a ceiling; the ceiling of the region sinks when streams end in
/// pages that nobody needed, and rises again with hits. Pages that are there or in flight are never part of a guess.
package struct ReadAhead {
    /// What may be filled besides the pages that threads wait for.
    package struct Plan: Hashable, Sendable {
        /// Adjacent pages: those that were asked for, and around them those that may be next. All are missing.
        package var window: Range<Int>
        /// Single pages further on, this far apart.
        package var strides: StrideTo<Int>?

        package static func == (left: Plan, right: Plan) -> Bool {
            left.window == right.window && left.strides.map(Array.init) == right.strides.map(Array.init)
        }

        package func hash(into hasher: inout Hasher) { hasher.combine(window) }
    }

    /// How the owner says that the region will be read.
    package enum Advice: Hashable, Sendable {
        case adaptive, sequential, random
    }

    private(set) var streams: [ReadAheadStream] = []
    /// The most pages that are filled ahead of one fault, as of now.
    package private(set) var ceiling: Int
    package let maximum: Int
    package var advice = Advice.adaptive
    /// What is filled far ahead ends where a huge page does, if there is one.
    package var grid: HugePageGrid?
    /// Pages filled ahead, and of these the ones known to have been needed and not needed.
    package private(set) var filled = 0
    package private(set) var hits = 0
    package private(set) var waste = 0
    private var recentHits = 0
    private var recentWaste = 0
    private var time: UInt64 = 0
    /// Faults since the last one that was expected.
    private var strays = 0

    package static let first = 4
    static let streamLimit = 32
    /// Where nothing was expected for so many faults, only the first quarter of each such number is looked at: enough for many
    /// interleaved streams to show, and what there is to be learned from the rest is not worth its price.
    static let strayLimit = 256

    /// At most `maximum` pages are filled ahead of a fault.
    package init(maximum: Int) {
        self.maximum = maximum
        ceiling = maximum
        // A region without read-ahead stays small: there may be thousands.
        if maximum > 0 { streams.reserveCapacity(Self.streamLimit) }
    }

    /// What to fill when threads wait for `pages`, a run of missing ones. At most `room` more pages are part of it.
    package mutating func plan(_ pages: Range<Int>, in table: borrowing FaultTable, room: Int) -> Plan {
        guard advice != .random, maximum > 0 else { return Plan(window: pages) }
        if strays >= Self.strayLimit, advice == .adaptive {
            strays &+= 1
            guard strays % Self.strayLimit < Self.strayLimit / 4 else { return Plan(window: pages) }
        }
        time &+= 1
        if let index = streams.firstIndex(where: { $0.expects(pages) }) {
            return advance(index, to: pages, in: table, room: room)
        }
        for index in streams.indices where streams[index].course == .unknown {
            guard let course = streams[index].course(suggestedBy: pages) else { continue }
            streams[index].lastUse = time
            if course == .unknown {
                streams[index].distance = pages.lowerBound - streams[index].last.lowerBound
                streams[index].last = pages
                return Plan(window: pages)
            }
            streams[index].course = course
            return fill(index, from: pages, in: table, room: room)
        }
        if strays < Self.strayLimit { strays += 1 }
        let index = begin(pages)
        guard advice == .sequential || pages.lowerBound == 0 else { return Plan(window: pages) }
        // Whoever begins at the beginning goes on, as a rule.
        streams[index].course = .ascending
        if advice == .sequential { streams[index].size = ceiling / 2 }
        return fill(index, from: pages, in: table, room: room)
    }

    /// Nobody knows any more what follows what: the contents have changed places.
    package mutating func forgetStreams() { streams.removeAll(keepingCapacity: true) }

    private mutating func begin(_ pages: Range<Int>) -> Int {
        let stream = ReadAheadStream(pages, at: time)
        guard streams.count >= Self.streamLimit else {
            streams.append(stream)
            return streams.count - 1
        }
        var oldest = 0
        for index in streams.indices where streams[index].lastUse < streams[oldest].lastUse { oldest = index }
        end(streams[oldest])
        streams[oldest] = stream
        return oldest
    }

    /// A stream has not been heard of for long: what was filled ahead of it last was for nothing.
    private mutating func end(_ stream: ReadAheadStream) {
        guard stream.unconfirmed > 0 else { return }
        waste += stream.unconfirmed
        recentWaste += stream.unconfirmed
        if recentWaste > recentHits / 2 { ceiling = max(ceiling / 2, min(Self.first, maximum)) }
        age()
    }

    private mutating func confirm(_ index: Int) {
        let count = streams[index].unconfirmed
        streams[index].unconfirmed = 0
        hits += count
        recentHits += count
        if recentHits > 2 * recentWaste { ceiling = min(ceiling * 2, maximum) }
        age()
    }

    /// What happened long ago counts for less.
    private mutating func age() {
        guard recentHits + recentWaste > 8 * maximum else { return }
        recentHits /= 2
        recentWaste /= 2
    }

    private mutating func advance(
        _ index: Int, to pages: Range<Int>, in table: borrowing FaultTable, room: Int
    ) -> Plan {
        confirm(index)
        strays = 0
        return fill(index, from: pages, in: table, room: room)
    }

    /// Fills ahead of a stream whose course is known, more than last time.
    private mutating func fill(
        _ index: Int, from pages: Range<Int>, in table: borrowing FaultTable, room: Int
    ) -> Plan {
        var stream = streams[index]
        stream.lastUse = time
        stream.last = pages
        stream.size = min(max(stream.size * 2, Self.first), ceiling)
        let size = min(stream.size, room)
        var plan = Plan(window: pages)
        switch stream.course {
        case .unknown: break
        case .ascending:
            // Pages between the expected one and these are part of the stream as well: somebody is about to come for them.
            let gap =
                pages.lowerBound > stream.expected && stream.size > 0 ? stream.expected : pages.lowerBound
            let start = table.missingStart(
                from: pages.lowerBound, downTo: max(gap, pages.lowerBound - size))
            let rest = size - (pages.lowerBound - start)
            let reach =
                grid?.cut(pages.upperBound + rest, after: pages.upperBound, size) ?? pages.upperBound + rest
            let end = table.missingEnd(from: pages.upperBound, below: reach)
            plan.window = start..<end
            stream.expected = table.nextMissing(from: end, below: end + ReadAheadStream.longestStride) ?? end
        case .descending:
            let gap =
                pages.upperBound <= stream.expected && stream.size > 0 && stream.expected < table.pageCount
                ? stream.expected + 1 : pages.upperBound
            let end = table.missingEnd(from: pages.upperBound, below: min(gap, pages.upperBound + size))
            let rest = size - (end - pages.upperBound)
            let reach =
                grid?.cut(pages.lowerBound - rest, before: pages.lowerBound, size) ?? pages.lowerBound - rest
            let start = table.missingStart(from: pages.lowerBound, downTo: reach)
            plan.window = start..<end
            stream.expected =
                table.previousMissing(from: start - 1, downTo: start - ReadAheadStream.longestStride) ?? start
                - 1
        case .strided(let step):
            // One call of the kernel for each page: fewer of them.
            let most = min(size, max(Self.first, size / 4))
            var end = pages.lowerBound + step
            var count = 0
            while count < most, end >= 0, end < table.pageCount, table.isMissing(end) {
                end += step
                count += 1
            }
            if count > 0 { plan.strides = stride(from: pages.lowerBound + step, to: end, by: step) }
            stream.expected = end
            stream.unconfirmed += count
            filled += count
        }
        let ahead = plan.window.count - pages.count
        stream.unconfirmed += ahead
        filled += ahead
        streams[index] = stream
        return plan
    }
}

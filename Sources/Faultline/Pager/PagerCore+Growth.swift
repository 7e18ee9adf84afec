import EventReactor
import Userfault

extension PagerCore {
    /// A thread waits at an address in no region.
    ///
    /// Mostly the message is late: the thread will find out what is there now. But two things are registered without
    /// a message that says so: the pages by which mremap(2) makes a mapping longer, and the old addresses of one that was moved
    /// with `MREMAP_DONTUNMAP`. Both are taken into service when somebody touches them, which is now; the thread asks
    /// again.
    func admitStray(_ fault: Fault) {
        statistics.strays += 1
        if configuration.memoryOutside == .zero { return zeroStray(fault) }
        if events.contains(.remapEvents), takeBack(fault.address) == .unknown {
            return askStrayAgain(fault.strayPage)
        }
        wakePage(at: fault.address, pageSize: SystemPage.size)
    }

    /// Fresh memory. If it only seems so, because what was moved here is still to be heard of, the kernel fills nothing until
    /// it is: then the thread is made to ask again.
    private func zeroStray(_ fault: Fault) {
        guard let kernel else { return }
        let page = fault.strayPage
        statistics.zeroPages += 1
        switch kernel.zero(page, wake: true) {
        case .whole:
            statistics.bytes += page.byteCount
            if strayPages.isEmpty { strayBackoff.reset() }
        case .again, .partial:
            statistics.again += 1
            askStrayAgain(page)
        case .exists, .gone(.range):
            wake(page)
        case .gone(.process):
            stop(because: .processExited("its memory is gone", range: page))
        case .failed(let error):
            report(PagerError(error))
            statistics.poisons += 1
            _ = kernel.poison(page, wake: true)
        }
    }

    private func askStrayAgain(_ page: AddressRange) {
        strayPages.append(page)
        if strayTimer == nil { strayTimer = reactor.startTimer(after: strayBackoff.next(), self) }
    }

    /// The address space may be quiet by now.
    func retryStrays() {
        strayTimer = nil
        let pages = strayPages
        strayPages.removeAll(keepingCapacity: true)
        for page in pages { wake(page) }
    }

    /// Takes `address` into service if it belongs to a region. `unknown` if that cannot be told now.
    private func takeBack(_ address: UInt) -> RangeProbe {
        guard let kernel else { return .absent }
        var answer = RangeProbe.absent
        if let (range, departure) = debts.entry(at: address), case .moved(let region) = departure {
            let page = region.range(of: region.page(of: address)..<region.page(of: address) + 1)
            answer = kernel.probe(page)
            if answer == .registered {
                let whole = kernel.probe(range) == .registered ? range : page
                // From now on its unmapping is heard of like any other's.
                _ = debts.pay(whole) { _, _ in }
                let table = FaultTable(pageCount: whole.byteCount / region.pageSize)
                takeIn(RegionState(whole, of: region, at: whole.start, table: table))
            }
        } else if let (piece, region) = regions.entry(before: address) {
            answer = kernel.probe(tail(of: piece, of: region, to: address))
            if answer == .registered {
                let end = extent(of: piece, of: region, beyond: address)
                let grown = AddressRange(start: piece.end, byteCount: Int(end - piece.end))
                let table = FaultTable(pageCount: grown.byteCount / region.pageSize)
                takeIn(RegionState(grown, of: region, at: grown.start, table: table))
                tell(.grown, grown, of: region)
            }
        }
        if answer != .unknown, strayPages.isEmpty { strayBackoff.reset() }
        if answer == .processGone { stop(because: .processExited("it is not running any more")) }
        return answer
    }

    /// Takes into service what of a region is registered without having been touched, before the region goes.
    func takeBackAll(of family: RegionFamily) {
        guard events.contains(.remapEvents), configuration.memoryOutside == .followRegions else { return }
        var addresses = debts.parts { $0.isMoved && $0.region?.family === family }.map(\.start)
        regions.forEach { if $1.family === family { addresses.append($0.end) } }
        for address in addresses where regions.value(at: address) == nil {
            for _ in 0..<200 where takeBack(address) == .unknown {
                readEvents()
                SystemPause.brief()
            }
        }
    }

    /// From the last page of `piece` to the page of `address`: if one mapping has both, they belong together.
    private func tail(of piece: AddressRange, of region: RegionState, to address: UInt) -> AddressRange {
        let page = UInt(region.pageSize)
        let end = (address - piece.end) / page * page + piece.end + page
        return AddressRange(start: piece.end - page, byteCount: Int(end - piece.end + page))
    }

    /// Where the mapping ends that begins with `piece` and contains `address`.
    private func extent(of piece: AddressRange, of region: RegionState, beyond address: UInt) -> UInt {
        guard let kernel else { return piece.end }
        let first = tail(of: piece, of: region, to: address)
        let limit = regions.start(after: address) ?? UInt(Int.max)
        var end = first.end
        var step = UInt(region.pageSize)
        func reaches(_ next: UInt) -> Bool {
            guard next <= limit else { return false }
            return kernel.probe(AddressRange(start: first.start, byteCount: Int(next - first.start)))
                == .registered
        }
        while reaches(end + step) {
            end += step
            step *= 2
        }
        while step > UInt(region.pageSize) {
            step /= 2
            if reaches(end + step) { end += step }
        }
        return end
    }
}

extension Fault {
    fileprivate var strayPage: AddressRange {
        AddressRange(start: address & ~UInt(SystemPage.size - 1), byteCount: SystemPage.size)
    }
}

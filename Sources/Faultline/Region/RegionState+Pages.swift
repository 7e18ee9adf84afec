import Userfault

// Addresses, pages, and what they are to the handler.
extension RegionState {
    func page(of address: UInt) -> Int { Int(address - range.start) &>> pageShift }

    /// What the byte at `address` is to the handler.
    func offset(of address: UInt) -> Int { baseOffset + Int(address - range.start) }

    func pages(of range: AddressRange) -> Range<Int> {
        let first = page(of: range.start)
        return first..<first + range.byteCount &>> pageShift
    }

    func range(of pages: Range<Int>) -> AddressRange {
        AddressRange(
            start: range.start + UInt(pages.lowerBound &<< pageShift), byteCount: pages.count &<< pageShift)
    }
}

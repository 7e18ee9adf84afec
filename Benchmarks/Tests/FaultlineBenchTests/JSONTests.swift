import Testing

@testable import FaultlineBench

@Suite struct JSONTests {
    @Test func valuesAreWrittenInOrderAndEscaped() {
        let value = JSON.object([
            ("b", .array([.number(1), .number(1.25), .number(-3), .null, .bool(true)])),
            ("a", .string("quote \" slash \\ line \n bell \u{7} µ")),
        ])
        #expect(
            value.text
                == #"{"b":[1,1.25,-3,null,true],"a":"quote \" slash \\ line \n bell \u0007 µ"}"#)
    }

    @Test func whatJSONCannotSayIsNull() {
        #expect(JSON.number(.nan).text == "null")
        #expect(JSON.number(.infinity).text == "null")
        #expect(JSON.number(126_435.123_456).text == "126435.1235")
    }

    @Test func rowsHaveTheKeysOfTheContract() {
        let row = ResultRow(
            scenario: "roundtrip", variant: "c-read", parameters: [.threads(1)], metric: .latency,
            values: [3, 1, 2],
            p99: [9])
        #expect(
            row.json.text
                == #"{"scenario":"roundtrip","variant":"c-read","parameters":{"threads":1},"metric":"latency","#
                + #""unit":"ns","median":2,"min":1,"max":3,"p99":9,"runs":3}"#)
    }
}

/// The page that `--output` writes: one file, nothing loaded from elsewhere.
enum HTML {
    static func escape(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }

    static func table(_ table: Table) -> String {
        func row(_ cells: [String], _ tag: String) -> String {
            "<tr>" + cells.map { "<\(tag)>\(escape($0))</\(tag)>" }.joined() + "</tr>"
        }
        let rows = table.rows.map { row($0, "td") }.joined(separator: "\n")
        return
            "<div class=\"t\"><table><thead>\(row(table.header, "th"))</thead><tbody>\n\(rows)\n</tbody></table></div>\n"
    }

    static let style = """
        :root{color-scheme:light dark;--b:#fff;--t:#1c2024;--m:#667;--g:#dde1e6;--f:#0b7285;--c:#adb5bd;--ok:#2b8a3e;--no:#c92a2a;
        --k:#868e96;--s0:#0b7285;--s1:#e8590c;--s2:#6741d9;--s3:#2f9e44;--s4:#c2255c;--s5:#a07000}
        @media(prefers-color-scheme:dark){:root{--b:#15181c;--t:#e6e8ea;--m:#9aa4ae;--g:#333a42;--f:#3bc9db;--c:#5c6770;--ok:#69db7c;
        --no:#ff8787;--k:#8b949e;--s0:#3bc9db;--s1:#ffa94d;--s2:#b197fc;--s3:#8ce99a;--s4:#faa2c1;--s5:#ffe066}}
        body{background:var(--b);color:var(--t);font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem}
        h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid var(--g)}
        p.m,figcaption{color:var(--m)}figure{margin:1.2rem 0}svg{width:100%;max-width:760px;height:auto;display:block}
        svg text{fill:var(--t);font-size:12px;paint-order:stroke;stroke:var(--b);stroke-width:3px}.f{fill:var(--f)}.c{fill:var(--c)}.w{stroke:var(--t);fill:none;opacity:.7}
        .l{stroke:var(--no);stroke-dasharray:5 4;fill:none;stroke-width:1.5}.g{stroke:var(--g);fill:none}polyline,path[class^=s],path[class^=k]{fill:none;stroke-width:2}
        .s0{stroke:var(--s0)}.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}.s3{stroke:var(--s3)}.s4{stroke:var(--s4)}.s5{stroke:var(--s5)}[class^=k]{stroke:var(--k)}
        .k1{stroke-dasharray:7 3}.k2{stroke-dasharray:2 3}.k3{stroke-dasharray:9 3 2 3}
        .t{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.85rem}
        th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid var(--g);white-space:nowrap}
        th:first-child,td:first-child{text-align:left}.ok{color:var(--ok)}.no{color:var(--no)}
        """
}

extension Report {
    /// The page.
    var html: String {
        var body = "<h1>Faultline benchmark</h1>\n<p class=\"m\">\(HTML.escape(machine.text))</p>\n"
        for scenario in scenarios {
            body += "<h2>\(HTML.escape(scenario))</h2>\n"
            let own = checks.filter { $0.scenario == scenario }
            if own.isEmpty {
                body += "<p>\(HTML.escape(verdict(scenario)))</p>\n"
            } else {
                let items = own.map { "<li class=\"\($0.holds ? "ok" : "no")\">\(HTML.escape($0.text))</li>" }
                body += "<ul>\(items.joined())</ul>\n"
            }
            for chart in charts where chart.scenario == scenario { body += SVG.draw(chart) }
            body += HTML.table(Report.table(results.filter { $0.scenario == scenario }))
        }
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>Faultline benchmark</title><style>\(HTML.style)</style></head><body>
            \(body)<p class="m">Medians over the runs; whiskers show the lowest and the highest run. Grey: what it is compared with: plain C, the kernel by itself, or what others do.</p>
            </body></html>

            """
    }
}

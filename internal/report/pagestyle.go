package report

// pageStyle is the style of the HTML page.
const pageStyle = `
:root{color-scheme:light dark;--bg:#fff;--ink:#1f2328;--dim:#59636e;--line:#d1d9e0;--soft:#f6f8fa;--good:#1a7f37;--bad:#cf222e;--warn:#9a6700;--curtain:#223a70;--plus:#dafbe1;--minus:#ffebe9}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--ink:#e6edf3;--dim:#9198a1;--line:#2f353d;--soft:#151b23;--good:#56d364;--bad:#ff7b72;--warn:#e3b341;--curtain:#8ea8ea;--plus:#12321c;--minus:#3c1618}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:anywhere}
main{max-width:1040px;margin:0 auto;padding:24px 20px 48px}
header{border-top:6px solid var(--curtain);padding-top:12px}
.id{margin:0;color:var(--dim);font-family:ui-monospace,monospace;font-size:13px}
h1{margin:2px 0 8px;font-size:26px;line-height:1.25}
h2{margin:36px 0 10px;padding-top:12px;border-top:1px solid var(--line);font-size:19px}
h3{margin:20px 0 6px;font-size:15px}
.outcome b{display:inline-block;margin-right:6px;padding:1px 9px;border:1px solid currentColor;border-radius:12px;font-size:13px}
.outcome b,.open b{color:var(--good)}
.closed b,.closing b,.opening b,.undone b,.stopped b{color:var(--warn)}
.stranded b{color:var(--bad)}
.alarm{padding:10px 14px;border:2px solid var(--bad);border-radius:6px}
dl{margin:14px 0;display:grid;gap:8px 24px}
.facts{grid-template-columns:repeat(auto-fill,minmax(280px,1fr))}
dt{color:var(--dim);font-size:13px}
dd{margin:0}
.small{font-size:13px;gap:2px}
.small div{display:grid;grid-template-columns:120px 1fr;gap:10px}
figure{margin:0;border:1px solid var(--line);border-radius:6px;overflow:hidden}
svg{display:block;width:100%;height:auto}
.slim{display:none}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{padding:6px 14px 6px 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
td:last-child{white-space:nowrap}
th{color:var(--dim);font-size:13px;font-weight:normal;white-space:nowrap}
.dim,.detail,footer,time{color:var(--dim)}
.lines{margin:8px 0;padding:0;list-style:none}
.lines li{display:grid;grid-template-columns:92px 1fr;padding:2px 0}
time{font-variant-numeric:tabular-nums;white-space:nowrap}
.lines .stage{margin-top:8px;border-top:1px dotted var(--line);padding-top:6px}
.stage .what,.run .what{font-weight:600}
.done .what{color:var(--good)}
.failed .what{color:var(--bad);font-weight:600}
.wait .what{color:var(--dim)}
.undone .what,.person .what{color:var(--warn)}
pre{margin:8px 0;padding:10px 12px;border-radius:6px;background:var(--soft);overflow-x:auto;font:12.5px/1.5 ui-monospace,monospace}
pre span{display:block;white-space:pre-wrap}
.plus{background:var(--plus)}
.minus{background:var(--minus)}
code{font-family:ui-monospace,monospace;font-size:13px}
footer{margin-top:40px;padding-top:12px;border-top:1px solid var(--line);font-size:13px}
@media (max-width:700px){main{padding:14px 12px 32px}h1{font-size:21px}.wide{display:none}.slim{display:block}.lines li{grid-template-columns:1fr}.lines time{font-size:12px}.small div{grid-template-columns:1fr;gap:0}}
@media print{body{font-size:11pt}figure,section.change{break-inside:avoid}}
`

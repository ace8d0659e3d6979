package report

// style is the picture's. Colours have a contrast of 4.5 or more with what is
// written on them, and of 3 with what they stand on; no meaning rests on them
// alone. The curtain's indigo is for what customers saw.
const style = `
.nrn text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}
.nrn .nrn-h{font-size:13px;font-weight:600}
.nrn .nrn-d{fill:#59636e}
.nrn .nrn-t{paint-order:stroke;stroke:#fff;stroke-width:3px}
.nrn .nrn-x{fill:#cf222e;font-weight:700}
.nrn .nrn-on{fill:#fff}
.nrn-bg{fill:#fff}
.nrn-grid{stroke:#d1d9e0}
.nrn-axis{stroke:#818b98}
.nrn-plan{fill:none;stroke:#59636e;stroke-dasharray:4 3}
.nrn-run{fill:#818b98}
.nrn-closed{fill:#223a70}
.nrn-late,.nrn-bad{fill:#cf222e}
.nrn-check,.nrn-ready{fill:#59636e}
.nrn-pause,.nrn-resume{fill:#8250df}
.nrn-close{fill:#bc4c00}
.nrn-open{fill:#1a7f37}
.nrn-prove{fill:#0b6e8a}
.nrn-settle{fill:#6b5b00}
.nrn-rest{fill:#7a4b1f}
.nrn-start{fill:#4b6b1f}
.nrn-tell,.nrn-renew{fill:#a8326b}
.nrn-return{fill:#0b6e8a}
.nrn-undo{fill:#9a3f8f}
.nrn-cut{fill-opacity:.35}
@media (prefers-color-scheme:dark){
.nrn text{fill:#e6edf3}
.nrn .nrn-d{fill:#9198a1}
.nrn .nrn-t{stroke:#0d1117}
.nrn .nrn-x{fill:#ff7b72}
.nrn .nrn-on{fill:#0d1117}
.nrn-bg{fill:#0d1117}
.nrn-grid{stroke:#2f353d}
.nrn-axis{stroke:#656c76}
.nrn-plan{stroke:#9198a1}
.nrn-run{fill:#656c76}
.nrn-closed{fill:#8ea8ea}
.nrn-late,.nrn-bad{fill:#ff7b72}
.nrn-check,.nrn-ready{fill:#9198a1}
.nrn-pause,.nrn-resume{fill:#b795f5}
.nrn-close{fill:#f0883e}
.nrn-open{fill:#56d364}
.nrn-prove{fill:#4cc3e0}
.nrn-settle{fill:#d9c23d}
.nrn-rest{fill:#d0a075}
.nrn-start{fill:#a8c76a}
.nrn-tell,.nrn-renew{fill:#f0a0c4}
.nrn-return{fill:#4cc3e0}
.nrn-undo{fill:#e08ad5}
}
`

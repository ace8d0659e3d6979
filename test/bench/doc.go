// Package bench holds comparisons of noren with what its users would do
// instead, side by side in one run. It has tests only: `make bench-compare`
// writes their tables into docs/benchmarks.md.
package bench

package kube

import "github.com/noren-dev/noren/internal/edge"

const testMark = "noren-7f3a"

func testPage() edge.Response {
	return edge.Response{Status: 503, ContentType: "text/html; charset=utf-8",
		Body: `<!doctype html><meta name=noren content=` + testMark + `><p>Closed until 03:00`}
}

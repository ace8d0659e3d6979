package testaws

import (
	"testing"
	"time"

	"github.com/noren-dev/noren/internal/action"
	"github.com/noren-dev/noren/internal/awsclient"
	"github.com/noren-dev/noren/internal/driver"
)

// Connect connects to a server as environment "test" does.
func Connect(t testing.TB, endpoint string) *awsclient.Conn {
	t.Helper()
	c, err := awsclient.Open(t.Context(), awsclient.Config{Region: Region, Endpoint: endpoint}, driver.Env{Name: "test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Mark reads the mark in tags, nil if there is none.
func Mark(t testing.TB, tags map[string]string) *action.Mark {
	t.Helper()
	found, ok := awsclient.MarkIn("", tags)
	if !ok {
		return nil
	}
	if found.Wrong != "" {
		t.Fatalf("the mark cannot be read: %s", found.Wrong)
	}
	return &found.Mark
}

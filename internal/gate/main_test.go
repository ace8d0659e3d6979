package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// childEnv makes the test binary a gate process with the configuration given.
const childEnv = "NOREN_GATE_TEST_CONFIG"

type childAddrs struct{ Listen, Admin string }

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Fprintln(os.Stderr, runChild(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func runChild(path string) error {
	c, err := Load(path)
	if err != nil {
		return err
	}
	g, err := New(c)
	if err != nil {
		return err
	}
	go func() {
		<-g.Ready()
		a := g.Addrs()
		_ = json.NewEncoder(os.Stdout).Encode(childAddrs{a.Listen[0].String(), a.Admin.String()})
	}()
	return g.Run(context.Background())
}

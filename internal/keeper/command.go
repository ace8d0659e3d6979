package keeper

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A Command tells a program of each reminder: as JSON on its standard input,
// without a shell, and with no variable of noren's own in its environment, since
// those hold secrets.
type Command struct {
	Words   []string // the program and its arguments
	Timeout time.Duration
}

// Name implements Channel.
func (c Command) Name() string { return "the command " + c.Words[0] }

// said bounds what of a failing program's words is told.
const said = 200

// Send implements Channel.
func (c Command) Send(ctx context.Context, r Reminder) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	in, err := json.Marshal(r)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, c.Words[0], c.Words[1:]...)
	cmd.Stdin = bytes.NewReader(append(in, '\n'))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // its children may hold on to its output
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "NOREN_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	err = cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("it did not end within %s", c.Timeout)
	}
	if text := strings.Join(strings.Fields(out.String()), " "); err != nil && text != "" {
		return fmt.Errorf("%w: %.*s", err, said, text)
	}
	return err
}

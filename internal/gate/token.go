package gate

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/noren-dev/noren/internal/fault"
)

// A bearer token lets noren in at the admin address. Only its digest is kept.
type bearer [sha256.Size]byte

// loadToken reads the token, writing a new one if there is no such file.
func loadToken(path string) (bearer, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeToken(path); err == nil {
			raw, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return bearer{}, &fault.Fault{Code: fault.Invalid, Summary: "admin token cannot be read or made",
			Detail: fmt.Sprintf("noren talks to the gate with the token in %s.", path), Err: err}
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
		return bearer{}, &fault.Fault{Code: fault.Invalid, Summary: "admin token is open to others",
			Detail: fmt.Sprintf("%s can be used by every user of this machine (%v), who could then close and open its doors.", path, info.Mode().Perm()),
			Try:    []string{"chmod o= " + path}}
	}
	token := strings.TrimSpace(string(raw))
	if len(token) < 16 {
		return bearer{}, &fault.Fault{Code: fault.Invalid, Summary: "admin token is too short",
			Detail: fmt.Sprintf("%s holds %d characters, at least 16 are needed. Remove it, and the next start writes a new one.", path, len(token)),
			Try:    []string{"rm " + path}}
	}
	return sha256.Sum256([]byte(token)), nil
}

// makeToken writes a new token whole or not at all: a second gate that starts
// at the same moment keeps the first one's.
func makeToken(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".token.*") // mode 0600
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	_, err = f.WriteString(hex.EncodeToString(secret) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path)
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	return errors.Join(err, os.Remove(f.Name()))
}

// admits tells whether the request carries the token. Digests are compared, in
// constant time.
func (b bearer) admits(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(token))
	return ok && subtle.ConstantTimeCompare(sum[:], b[:]) == 1
}

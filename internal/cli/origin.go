package cli

import (
	"net/url"
	"os"
	"os/user"
	"regexp"
	"strings"

	"github.com/noren-dev/noren/internal/run"
)

// longestCommand is how much of a command line the audit record keeps.
const longestCommand = 2000

// origin is what the audit record says of this process.
func (a *app) origin(stateDir string) run.Origin {
	o := run.Origin{User: os.Getenv("USER"), SudoUser: os.Getenv("SUDO_USER"), PID: os.Getpid(), Version: a.Version,
		State: stateDir, Command: typed(a.Args), Client: sshClient(os.Getenv("SSH_CONNECTION"))}
	if u, err := user.Current(); err == nil {
		o.User = u.Username
	}
	if o.SudoUser == o.User {
		o.SudoUser = ""
	}
	if host, err := os.Hostname(); err == nil {
		o.Host = host
	}
	return o
}

// sshClient is the client's address in what sshd sets: "client port server port".
// Source: https://man.openbsd.org/ssh#ENVIRONMENT
func sshClient(connection string) string {
	if fields := strings.Fields(connection); len(fields) == 4 {
		return fields[0]
	}
	return ""
}

// secretFlag matches flags whose values may be secrets, with or without one.
var secretFlag = regexp.MustCompile(`^(-H|--[\w-]*(?:header|token|secret|password|pass-|credential)[\w-]*)(=.*)?$`)

// typed is a command line as it can be typed again, without secrets.
func typed(args []string) string {
	words := []string{"noren"}
	hideNext := false
	for _, arg := range args {
		m := secretFlag.FindStringSubmatch(arg)
		switch {
		case hideNext:
			arg, hideNext = run.Hidden, false
		case len(m) > 2 && m[2] != "":
			arg = m[1] + "=" + run.Hidden
		case m != nil:
			hideNext = true
		default:
			arg = withoutUserinfo(arg)
		}
		words = append(words, quoted(arg))
	}
	line := strings.Join(words, " ")
	if r := []rune(line); len(r) > longestCommand {
		line = string(r[:longestCommand]) + "…"
	}
	return line
}

// withoutUserinfo hides the name and password in a URL.
func withoutUserinfo(arg string) string {
	if u, err := url.Parse(arg); err == nil && u.Host != "" && u.User != nil {
		return strings.Replace(arg, u.User.String()+"@", run.Hidden+"@", 1)
	}
	return arg
}

// quoted writes a word as a POSIX shell reads it.
func quoted(word string) string {
	plain := func(r rune) bool {
		return strings.ContainsRune("/._-+@%:=,•", r) || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

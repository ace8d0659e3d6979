package cli

import (
	"strings"
	"testing"
)

func TestTypedIsWhatWasTypedWithoutSecrets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"close", "shop", "--for", "30m", "--confirm=prod"}, `noren close shop --for 30m --confirm=prod`},
		{[]string{"close", "--reason", "Ann's upgrade, phase 2", "--pass", "--path", "/checkout/*"}, `noren close --reason 'Ann'\''s upgrade, phase 2' --pass --path '/checkout/*'`},
		{[]string{"who-sees", "shop.test", "--header", "X-Noren-Pass: k7w2", "--from", "203.0.113.7"}, `noren who-sees shop.test --header ••• --from 203.0.113.7`},
		{[]string{"who-sees", "--header=X-Noren-Pass: k7w2"}, `noren who-sees --header=•••`},
		{[]string{"x", "--admin-token", "k7w2", "--token-file=k7w2", "https://ann:k7w2@example.com/a?b"}, `noren x --admin-token ••• --token-file=••• 'https://•••@example.com/a?b'`},
		{[]string{"close", ""}, `noren close ''`},
	}
	for _, tt := range tests {
		if got := typed(tt.args); got != tt.want {
			t.Errorf("%q\n got %s\nwant %s", tt.args, got, tt.want)
		}
	}
	if got := typed([]string{strings.Repeat("é", 5000)}); len([]rune(got)) != longestCommand+1 {
		t.Errorf("a long command is kept with %d characters", len([]rune(got)))
	}
}

func TestSSHClient(t *testing.T) {
	t.Parallel()
	for connection, want := range map[string]string{
		"203.0.113.7 51234 10.0.0.5 22":  "203.0.113.7",
		"2001:db8::7 51234 10.0.0.5 22":  "2001:db8::7",
		"":                               "",
		"203.0.113.7 51234":              "",
		"a b c d e\nf g h i j k l m n o": "",
	} {
		if got := sshClient(connection); got != want {
			t.Errorf("%q: %q, want %q", connection, got, want)
		}
	}
}

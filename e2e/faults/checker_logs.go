package faults

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
)

// credentialPattern is the form of every credential.
var credentialPattern = regexp.MustCompile(`xno[a-z]_[0-9A-Za-z]{60,}`)

// checkLogs looks for secrets in log files: I7. Everything in the form of a credential is one; the other secrets are given.
func checkLogs(paths []string, secrets []string) ([]Violation, error) {
	var found []Violation
	for _, path := range paths {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		lines := bufio.NewReader(file)
		for number := 1; ; number++ {
			line, err := lines.ReadBytes('\n')
			leaked := credentialPattern.Match(line)
			for _, s := range secrets {
				leaked = leaked || bytes.Contains(line, []byte(s))
			}
			if leaked {
				found = append(found, Violation{"I7", fmt.Sprintf("line %d of %s contains a secret", number, path)})
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, errors.Join(fmt.Errorf("read log: %w", err), file.Close())
			}
		}
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
	}
	return found, nil
}

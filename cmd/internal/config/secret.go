package config

import (
	"fmt"
	"os"
	"strings"

	"holdfast/ingest/embedded/folder"
)

// Secret returns the password that stands in the file, or else the one that the
// configuration itself holds. A file that others can read or write is refused.
func Secret(inline, file string) (string, error) {
	if file == "" {
		return inline, nil
	}
	if err := folder.CheckSecret(file); err != nil {
		return "", err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("secret file %s is empty: write the secret into it", file)
	}
	return s, nil
}

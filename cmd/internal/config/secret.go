package config

import (
	"fmt"
	"os"
	"strings"
)

// Secret returns the password that stands in the file, or else the one that the
// configuration itself holds.
func Secret(inline, file string) (string, error) {
	if file == "" {
		return inline, nil
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

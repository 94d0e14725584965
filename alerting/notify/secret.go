package notify

import (
	"fmt"
	"os"
	"strings"
)

// maxSecret is the largest secret file, in bytes.
const maxSecret = 4096

// ReadSecret reads a secret from a file and takes the white space off its ends.
func ReadSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	s := strings.TrimSpace(string(b))
	switch {
	case s == "":
		return "", fmt.Errorf("secret file %s is empty: write the secret into it", path)
	case len(s) > maxSecret:
		return "", fmt.Errorf("secret file %s has more than %d bytes: it is not a secret", path, maxSecret)
	}
	return s, nil
}

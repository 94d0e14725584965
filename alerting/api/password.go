package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// PasswordCost is what one hash costs: argon2id's parameters.
type PasswordCost struct {
	Time    uint32
	Memory  uint32 // KiB
	Threads uint8
}

// DefaultPassword is the second choice of RFC 9106: 64 MiB and three passes, some 150 ms on
// one core.
var DefaultPassword = PasswordCost{Time: 3, Memory: 64 << 10, Threads: 4}

const (
	saltSize    = 16
	hashSize    = 32
	minPassword = 12
	maxPassword = 256
)

// hashing bounds how many hashes are made at once: 64 MiB each.
var hashing = make(chan struct{}, 2)

// hashPassword gives the password's hash in the form of the argon2 command.
func hashPassword(password string, c PasswordCost) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // it never fails
	hashing <- struct{}{}
	defer func() { <-hashing }()
	h := argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, hashSize)
	e := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Time, c.Threads, e.EncodeToString(salt), e.EncodeToString(h))
}

// checkPassword reports whether the password has this hash. One that cannot be read is
// nobody's.
func checkPassword(password, hash string) bool {
	var version int
	var c PasswordCost
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || len(password) > maxPassword {
		return false
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &c.Memory, &c.Time, &c.Threads); err != nil || version != argon2.Version {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) != hashSize || c.Time == 0 || c.Threads == 0 || c.Memory > 1<<18 || c.Time > 64 {
		return false
	}
	hashing <- struct{}{}
	defer func() { <-hashing }()
	return subtle.ConstantTimeCompare(argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, hashSize), want) == 1
}

// goodPassword says what is wrong with a password.
func goodPassword(name, password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword || len(password) > maxPassword:
		return invalid("password", "the password has %d characters: use at least %d, and at most %d bytes", n, minPassword, maxPassword)
	case !utf8.ValidString(password):
		return invalid("password", "the password is not UTF-8")
	case strings.Contains(strings.ToLower(password), strings.ToLower(name)):
		return invalid("password", "the password contains the name: choose another")
	}
	return nil
}

// newSecret makes a secret with a prefix that tells what it is, and the hash under which it
// is kept.
func newSecret(prefix string) (secret, hash string) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails
	secret = prefix + base64.RawURLEncoding.EncodeToString(b)
	return secret, hashSecret(secret)
}

// hashSecret is the hash by which a token, a session or a link is found. Secrets of 256
// random bits need no slow hash.
func hashSecret(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}

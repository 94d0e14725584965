//go:build !linux

package owner

import (
	"errors"
	"net/netip"
)

func ask(_, _ netip.AddrPort) (int, error) { return 0, errors.ErrUnsupported }

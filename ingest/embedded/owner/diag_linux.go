package owner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// Numbers of the kernel's socket diagnosis (linux/sock_diag.h, linux/inet_diag.h).
const (
	netlinkSockDiag  = 4
	sockDiagByFamily = 20
	diagRequest      = 56 // bytes of inet_diag_req_v2
	diagMessage      = 72 // bytes of inet_diag_msg
	diagID           = 4  // where inet_diag_sockid stands in inet_diag_msg, 8 in the request
	diagUID          = 64 // behind id (48), expires, rqueue and wqueue
	diagInode        = 68
)

// ask asks the kernel for one socket by its two ends, which takes some microseconds
// however many there are.
func ask(local, remote netip.AddrPort) (uid int, err error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkSockDiag)
	if err != nil {
		return 0, fmt.Errorf("sock_diag: %w", err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 1}); err != nil {
		return 0, fmt.Errorf("sock_diag: %w", err)
	}
	if err := syscall.Sendto(fd, diagQuestion(local, remote), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("sock_diag: %w", err)
	}
	answer := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(fd, answer, 0)
	if err != nil {
		return 0, fmt.Errorf("sock_diag: %w", err)
	}
	return diagAnswer(answer[:n], local, remote)
}

func diagQuestion(local, remote netip.AddrPort) []byte {
	b := make([]byte, syscall.NLMSG_HDRLEN, syscall.NLMSG_HDRLEN+diagRequest)
	binary.NativeEndian.PutUint32(b, uint32(cap(b)))
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(b[6:], syscall.NLM_F_REQUEST)
	family := byte(syscall.AF_INET)
	if local.Addr().Is6() {
		family = syscall.AF_INET6
	}
	b = append(b, family, syscall.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0)) // in every state
	b = appendDiagID(b, local, remote)
	b = binary.NativeEndian.AppendUint32(b, 0)             // on any interface
	return binary.NativeEndian.AppendUint64(b, ^uint64(0)) // whatever its cookie
}

// appendDiagID appends the two ends, as inet_diag_sockid has them.
func appendDiagID(b []byte, local, remote netip.AddrPort) []byte {
	b = binary.BigEndian.AppendUint16(b, local.Port())
	b = binary.BigEndian.AppendUint16(b, remote.Port())
	for _, a := range []netip.Addr{local.Addr(), remote.Addr()} {
		var room [16]byte
		copy(room[:], a.AsSlice())
		b = append(b, room[:]...)
	}
	return b
}

// diagAnswer reads the kernel's answer. It must be about the very socket, since the
// kernel names one that listens where there is none, and one that somebody holds.
func diagAnswer(b []byte, local, remote netip.AddrPort) (uid int, err error) {
	if len(b) < syscall.NLMSG_HDRLEN {
		return 0, errors.New("sock_diag: the answer is cut")
	}
	kind, b := binary.NativeEndian.Uint16(b[4:]), b[syscall.NLMSG_HDRLEN:]
	switch {
	case kind == syscall.NLMSG_ERROR && len(b) >= 4:
		if errno := syscall.Errno(-int32(binary.NativeEndian.Uint32(b))); errno != syscall.ENOENT {
			return 0, fmt.Errorf("sock_diag: %w", errno)
		}
		return 0, ErrUnknown
	case kind != sockDiagByFamily || len(b) < diagMessage:
		return 0, fmt.Errorf("sock_diag: an answer of kind %d and %d bytes", kind, len(b))
	}
	if string(b[diagID:diagID+36]) != string(appendDiagID(nil, local, remote)) {
		return 0, ErrUnknown
	}
	if binary.NativeEndian.Uint32(b[diagInode:]) == 0 {
		return 0, ErrUnknown
	}
	return int(binary.NativeEndian.Uint32(b[diagUID:])), nil
}

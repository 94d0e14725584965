package chdb

import (
	"syscall"
	"unsafe"
)

// deadly are the signals whose handlers the library resets to the default when
// it is told to leave them alone. Go needs them for its own panics.
var deadly = [...]syscall.Signal{
	syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGILL, syscall.SIGBUS,
	syscall.SIGSYS, syscall.SIGFPE, syscall.SIGTSTP, syscall.SIGTRAP,
}

// sigaction is the kernel's struct sigaction on 64-bit Linux.
type sigaction struct {
	handler, flags, restorer, mask uint64
}

type signalHandlers [len(deadly)]sigaction

func saveSignals() *signalHandlers {
	saved := new(signalHandlers)
	for i, sig := range deadly {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(&saved[i])), 8, 0, 0)
	}
	return saved
}

func (s *signalHandlers) restore() {
	for i, sig := range deadly {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&s[i])), 0, 8, 0, 0)
	}
}

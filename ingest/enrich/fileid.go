package enrich

import (
	"io/fs"
	"syscall"
)

// fileID is the number of the file's inode.
func fileID(st fs.FileInfo) any {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Ino
	}
	return nil
}

package clickhouse

import "syscall"

// declareRoom is how much must be free, in bytes, before a table is declared or altered.
const declareRoom = 4 << 20

// declares tells whether a statement makes the engine write a table's declaration:
// CREATE, and ALTER of anything but rows and parts.
func declares(sql string) bool {
	lex := lexer{text: sql}
	first := lex.next()
	if first.is("CREATE") || first.is("ATTACH") || first.is("RENAME") {
		return true
	}
	if !first.is("ALTER") {
		return false
	}
	for tok := lex.next(); tok.kind != tokenEnd; tok = lex.next() {
		if tok.is("PART") || tok.is("PARTITION") || tok.is("DELETE") || tok.is("UPDATE") {
			return false
		}
	}
	return true
}

// roomFor refuses a declaration where there is no room for it: the engine would not
// notice that it could not write it, and leave an empty file in its place, by which it
// finds no table when it starts again.
func (e *engine) roomFor(sql string) error {
	if !declares(sql) {
		return nil
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(e.tmp, &s); err != nil {
		return fileFault{err}
	}
	if free := s.Bavail * uint64(s.Bsize); free < declareRoom { // #nosec G115 -- a block's size is positive
		return refuse(codeNotEnoughSpace, "NOT_ENOUGH_SPACE", "%d bytes are free, a declaration needs %d: make room on the file system of the data folder", free, declareRoom)
	}
	return nil
}

// Package enrich tells of an address what files that the operator supplies know of it:
// country, city and autonomous system, and whether it stands in a hosting or VPN range.
//
// It promises that Of never blocks, never fails and asks nobody outside the process;
// what no file knows is left out. Files are read again while the process runs: one that
// was changed and is valid takes the old one's place at once, one that cannot be used
// leaves the old one in force, and log and metrics say so. Without any file Of knows
// nothing, detection works as before, and Lacking says what it cannot tell apart.
// Memory is bounded by the sizes of the files.
package enrich

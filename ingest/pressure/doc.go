// Package pressure watches what the machine has left of what Holdfast lives on: room
// on the file system of the embedded engines, memory, and files that may be opened.
//
// A resource is short while less is left than its floor, until a quarter more than
// the floor is there again. A change is one log line, and a metric says what is left;
// a Watcher never ends a process and never frees anything. Whoever takes events in
// asks Short before it takes more, or hands its records to a Writer, which waits.
package pressure

package main

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	// How long the container's end may wait for its output to be read.
	readWithin = 5 * time.Second
	// The same after SIGTERM, when the grace period runs out.
	readWithinGrace = time.Second
	readPause       = 10 * time.Millisecond
	// Output that has left the pipes is still on its way to the log. containerd before 1.6.22 and 1.7.3 drops it when the
	// container ends (task.Delete closes the reader first).
	settleTime = 100 * time.Millisecond
)

// awaitReaders returns once the runtime has read the container's output. A runtime may drop what is still in a pipe when the
// first process ends.
func awaitReaders(deadline time.Time, files ...*os.File) {
	began := time.Now()
	for hasUnread(files) && time.Now().Before(deadline) {
		time.Sleep(readPause)
	}
	// A reader that was slow here is as slow with the next pipe, which is as large.
	settled := max(settleTime, 2*time.Since(began))
	time.Sleep(max(0, min(settled, time.Until(deadline))))
}

// hasUnread reports whether a reader has not yet read all of a pipe. Streams of other kinds lose nothing.
func hasUnread(files []*os.File) bool {
	for _, file := range files {
		info, err := file.Stat()
		if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
			continue
		}
		var unread int32
		_, _, problem := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), syscall.TIOCINQ, uintptr(unsafe.Pointer(&unread)))
		if problem == 0 && unread > 0 {
			return true
		}
	}
	return false
}

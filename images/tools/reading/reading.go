// Package reading reads the output of commands and of the kernel, for the programs beside the supervisor.
package reading

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// KeptBytes is the part of each stream that is reported, with one more byte if the stream is longer.
const KeptBytes = 1 << 20

// MostInPath is the longest path of Linux.
const MostInPath = 4096

// StartOf reads the beginning of a file. A command may have replaced it with a pipe, which must not block the reader.
func StartOf(path string, most int64) string {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	data, _ := io.ReadAll(io.LimitReader(file, most))
	return string(data)
}

// The state of a listening socket (proc(5)). Connecting to the port would show the server a visitor.
const (
	Established = "01"
	Listening   = "0A"
)

// CountSockets counts sockets of this machine. The second field of a line is the local address, the fourth the state.
func CountSockets(port int, state string) int {
	count := 0
	table, _ := os.ReadFile("/proc/net/tcp")
	table6, _ := os.ReadFile("/proc/net/tcp6")
	for _, line := range strings.Split(string(table)+string(table6), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[3] == state && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			count++
		}
	}
	return count
}

// Number returns the number in a word, or 0.
func Number(word string) int {
	value, _ := strconv.Atoi(word)
	return value
}

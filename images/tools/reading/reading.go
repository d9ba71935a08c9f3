// Package reading reads what commands and the kernel say: for programs beside the supervisor.
package reading

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// KeptBytes of each stream of a command are told, and one byte more where there was more.
const KeptBytes = 1 << 20

// MostInPath: Linux takes no longer path.
const MostInPath = 4096

// StartOf reads the beginning of a file. It may be a command's: a pipe in its place must hold nobody up.
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

// Of a socket (proc(5)). To dial a port would be a visitor for who serves it.
const (
	Established = "01"
	Listening   = "0A"
)

// CountSockets of this machine: the second field of a line is the local address and the fourth the state.
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

// Number of a word; 0 where it is none.
func Number(word string) int {
	value, _ := strconv.Atoi(word)
	return value
}

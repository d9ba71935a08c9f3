// Package shared holds the code that the supervisor and the programs beside it share.
package shared

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Exit codes of a client whose request was not done.
const (
	WrongUse  = 64
	UnknownID = 66
	NoPlace   = 70
	Closed    = 71
	Malformed = 72
	Full      = 73
	NotReady  = 75
)

// End says how a command ended. It is the file `end` beside the command's streams, which does not exist while it runs.
type End struct {
	State    string `json:"state"`
	ExitCode int    `json:"exitCode"`
	TimedOut bool   `json:"timedOut"`
}

// Beside returns a path in the directory of the program's own file, which survives a container restart.
func Beside(names ...string) string {
	file, err := os.Executable()
	Must(err)
	return filepath.Join(append([]string{filepath.Dir(file)}, names...)...)
}

// WriteWhole writes the file completely, or leaves the previous one.
func WriteWhole(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Environment returns the container's environment with changes. The last of two entries with one name counts.
func Environment(changes map[string]string) []string {
	all := exec.Cmd{Env: os.Environ()}
	for name, value := range changes {
		all.Env = append(all.Env, name+"="+value)
	}
	return all.Environ()
}

// FindProgram returns the path of a program. An image without a shell gets busybox's.
func FindProgram(words []string, directory string) (string, []string, error) {
	name := words[0]
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		name = filepath.Join(directory, name)
	}
	path, err := exec.LookPath(name)
	if err != nil && filepath.Base(name) == "sh" && IsFile(Beside("busybox")) {
		return Beside("busybox"), append([]string{"sh"}, words[1:]...), nil
	}
	return path, words, err
}

// ExitCode returns the exit code that a shell would report.
func ExitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// StartCode returns the exit code that a shell would report for a program that could not be started.
func StartCode(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return 127
	}
	return 126
}

func IsFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func Must(err error) {
	if err != nil {
		Fail(NoPlace, err.Error())
	}
}

func Fail(code int, problem string) {
	fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+": "+problem)
	os.Exit(code)
}

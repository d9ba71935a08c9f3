package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"tools/shared"
)

var commandID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,99}$`)
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// order is a further command, beside the command of the run.
type order struct {
	ID        string            `json:"id"`
	Words     []string          `json:"words"`
	Env       map[string]string `json:"env"`
	Directory string            `json:"directory"`
	Stdin     []byte            `json:"stdin"`
	TimeoutMs int64             `json:"timeoutMs"`
}

func (o order) isValid() bool {
	text := strings.Join(append(o.Words, o.Directory), "")
	for name, value := range o.Env {
		if !variableName.MatchString(name) {
			return false
		}
		text += value
	}
	return commandID.MatchString(o.ID) && len(o.Words) > 0 && !strings.Contains(text, "\x00")
}

// startCommand starts a command unless one with its id was started before. Its directory is created only once.
func (s *supervisor) startCommand(input *json.Decoder) (int, string) {
	var wanted order
	if input.Decode(&wanted) != nil {
		return shared.Malformed, "The command did not arrive whole"
	}
	if !wanted.isValid() {
		return shared.WrongUse, "The command is not valid"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed {
		return shared.Closed, "Nothing is started here any more"
	}
	os.Mkdir(shared.Beside("commands"), 0o700)
	home := shared.Beside("commands", wanted.ID)
	if err := os.Mkdir(home, 0o700); os.IsExist(err) {
		return 0, ""
	} else if err != nil {
		return shared.NoPlace, err.Error()
	}
	files, err := openStreams(home, wanted.Stdin)
	if err != nil {
		os.RemoveAll(home)
		return shared.NoPlace, err.Error()
	}
	s.sessions++
	go func() {
		how := s.runCommand(wanted, home, files)
		s.addSessions(-1)
		writeEnd(home, how)
	}()
	return 0, ""
}

// settle marks commands as ended that ended with an earlier life of this container.
func settle() {
	homes, _ := filepath.Glob(shared.Beside("commands", "*"))
	for _, home := range homes {
		if !shared.IsFile(filepath.Join(home, "end")) {
			writeEnd(home, shared.End{State: "ended", ExitCode: 137})
		}
	}
}

// Longer than any end file. It is reserved before a command starts, because the command may fill the disk.
const endBytes = 128

// writeEnd writes the end in one rename, so that readers see it complete.
func writeEnd(home string, how shared.End) {
	line, _ := json.Marshal(how)
	draft := filepath.Join(home, "ending")
	if file, err := os.OpenFile(draft, os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600); err == nil {
		fmt.Fprintf(file, "%-*s", endBytes, line)
		file.Close()
		os.Rename(draft, filepath.Join(home, "end"))
	}
}

// openStreams opens the files of a command's streams. With files no reader blocks the command or its children.
func openStreams(home string, input []byte) (files []*os.File, err error) {
	for _, name := range []string{"stdin", "stdout", "stderr"} {
		file, openError := os.OpenFile(filepath.Join(home, name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if openError != nil {
			return nil, openError
		}
		files = append(files, file)
	}
	if _, err = files[0].Write(input); err == nil {
		_, err = files[0].Seek(0, io.SeekStart)
	}
	os.Remove(files[0].Name())
	return files, errors.Join(err, os.WriteFile(filepath.Join(home, "ending"), make([]byte, endBytes), 0o600))
}

func (s *supervisor) runCommand(wanted order, home string, files []*os.File) shared.End {
	variables := map[string]string{"BERTH_DIRECTORY_FILE": filepath.Join(home, "directory")}
	for name, value := range wanted.Env {
		variables[name] = value
	}
	pid, ended, err := s.processes.start(wanted.Words, shared.Environment(variables), wanted.Directory, files...)
	for _, file := range files {
		file.Close()
	}
	if err != nil {
		return shared.End{State: "ended", ExitCode: shared.StartCode(err)}
	}
	timeout := time.Duration(wanted.TimeoutMs) * time.Millisecond
	late := time.AfterFunc(timeout, func() { s.processes.signal(syscall.SIGKILL, pid) })
	code := shared.ExitCode(<-ended)
	if !late.Stop() {
		return shared.End{State: "ended", ExitCode: 124, TimedOut: true}
	}
	return shared.End{State: "ended", ExitCode: code}
}

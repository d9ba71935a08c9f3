package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Of each stream this much is told, and one byte more where there was more. Once a second a longer file is cut.
const keptBytes = 1 << 20

// Linux takes no longer path.
const mostInPath = 4096
const keptFor = time.Hour
const longestWait = 4 * time.Second

var commandID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,99}$`)
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// order is a command to be run beside that of the run.
type order struct {
	ID        string            `json:"id"`
	Words     []string          `json:"words"`
	Env       map[string]string `json:"env"`
	Directory string            `json:"directory"`
	Stdin     []byte            `json:"stdin"`
	TimeoutMs int64             `json:"timeoutMs"`
}

// end is how a command ended; State is `running` or `ended`.
type end struct {
	State    string `json:"state"`
	ExitCode int    `json:"exitCode"`
	TimedOut bool   `json:"timedOut"`
}

// command is one that was started by this process.
type command struct {
	over chan struct{}
	end  end
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

// startCommand starts a command unless one of its id was started before: its directory is made once.
func (s *supervisor) startCommand(input *json.Decoder) (int, string) {
	var wanted order
	if input.Decode(&wanted) != nil {
		return malformed, "The command did not arrive whole"
	}
	if !wanted.isValid() {
		return wrongUse, "The command is not valid"
	}
	s.tidy()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed {
		return closed, "Nothing is started here any more"
	}
	os.Mkdir(beside("commands"), 0o700)
	home := beside("commands", wanted.ID)
	if err := os.Mkdir(home, 0o700); os.IsExist(err) {
		return 0, ""
	} else if err != nil {
		return noPlace, err.Error()
	}
	files, err := openStreams(home, wanted.Stdin)
	if err != nil {
		os.RemoveAll(home)
		return noPlace, err.Error()
	}
	one := &command{over: make(chan struct{}), end: end{State: "running"}}
	s.commands[wanted.ID] = one
	s.sessions++
	go func() {
		how := s.runCommand(wanted, home, files)
		line, _ := json.Marshal(how)
		writeWhole(filepath.Join(home, "end"), line)
		s.mu.Lock()
		one.end = how
		s.sessions--
		s.mu.Unlock()
		close(one.over)
	}()
	return 0, ""
}

// openStreams: a command writes into files, so that nothing holds it up, and what it leaves behind goes on.
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
	return files, err
}

func (s *supervisor) runCommand(wanted order, home string, files []*os.File) end {
	variables := map[string]string{"BERTH_DIRECTORY_FILE": filepath.Join(home, "directory")}
	for name, value := range wanted.Env {
		variables[name] = value
	}
	pid, ended, err := s.processes.start(wanted.Words, environment(variables), wanted.Directory, files...)
	for _, file := range files {
		file.Close()
	}
	if err != nil {
		return end{State: "ended", ExitCode: startCode(err)}
	}
	timeout := time.Duration(wanted.TimeoutMs) * time.Millisecond
	late := time.AfterFunc(timeout, func() { s.processes.signal(syscall.SIGKILL, pid) })
	code := exitCode(<-ended)
	if !late.Stop() {
		return end{State: "ended", ExitCode: 124, TimedOut: true}
	}
	return end{State: "ended", ExitCode: code}
}

// readCommand tells on a first line what became of a command and how much it wrote, and then what.
func (s *supervisor) readCommand(id, milliseconds string) (int, string) {
	home := beside("commands", id)
	if _, err := os.Stat(home); err != nil || !commandID.MatchString(id) {
		return unknownID, "No such command"
	}
	how := s.endOf(id, milliseconds)
	directory := ""
	if how.State == "ended" {
		directory = strings.TrimSuffix(startOf(filepath.Join(home, "directory"), mostInPath), "\n")
	}
	out, err := startOf(filepath.Join(home, "stdout"), keptBytes+1), startOf(filepath.Join(home, "stderr"), keptBytes+1)
	line, _ := json.Marshal(map[string]any{"end": how, "directory": directory, "stdout": len(out), "stderr": len(err)})
	return 0, string(line) + "\n" + out + err
}

// endOf waits for the end of a command. After a restart of the container it is as its file says, or it ended with that.
func (s *supervisor) endOf(id, milliseconds string) end {
	s.mu.Lock()
	one := s.commands[id]
	s.mu.Unlock()
	if one == nil {
		how := end{State: "ended", ExitCode: 137}
		json.Unmarshal([]byte(startOf(beside("commands", id, "end"), mostInPath)), &how)
		return how
	}
	wait, _ := strconv.Atoi(milliseconds)
	select {
	case <-one.over:
	case <-time.After(min(time.Duration(wait)*time.Millisecond, longestWait)):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return one.end
}

// tidy cuts what is written without end, also by what a command left behind, and removes what ended an hour ago: whoever
// wanted to know has asked.
func (s *supervisor) tidy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, _ := filepath.Glob(beside("commands", "*", "*"))
	for _, file := range files {
		info, err := os.Lstat(file)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		home, name := filepath.Split(file)
		if name == "end" && time.Since(info.ModTime()) > keptFor {
			delete(s.commands, filepath.Base(home))
			os.RemoveAll(home)
		} else if strings.HasPrefix(name, "std") && info.Size() > 8*keptBytes {
			os.Truncate(file, keptBytes+1)
		}
	}
}

// startOf reads the beginning of a file. It is the command's: a pipe in its place must hold nobody up.
func startOf(path string, most int64) string {
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

// writeWhole leaves the whole of it, or what was there before.
func writeWhole(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

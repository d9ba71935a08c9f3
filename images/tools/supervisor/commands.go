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

// command is one that was started by this process. Its end is read once it is over.
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

func commandFile(id, name string) string {
	return beside("commands", id, name)
}

// startCommand starts a command unless one of its id was started before: its directory is made once.
func (s *supervisor) startCommand(input io.Reader) (int, string) {
	var wanted order
	if json.NewDecoder(input).Decode(&wanted) != nil {
		return malformed, "The command did not arrive whole"
	}
	if !wanted.isValid() {
		return wrongUse, "The command is not valid"
	}
	s.forgetOld()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed {
		return closed, "Nothing is started here any more"
	}
	os.Mkdir(beside("commands"), 0o700)
	if err := os.Mkdir(commandFile(wanted.ID, ""), 0o700); os.IsExist(err) {
		return 0, ""
	} else if err != nil {
		return noPlace, err.Error()
	}
	files, err := openStreams(wanted)
	if err != nil {
		os.RemoveAll(commandFile(wanted.ID, ""))
		return noPlace, err.Error()
	}
	one := &command{over: make(chan struct{}), end: end{State: "ended"}}
	s.commands[wanted.ID] = one
	s.sessions++
	go func() {
		s.runCommand(wanted, files, &one.end)
		line, _ := json.Marshal(one.end)
		writeWhole(commandFile(wanted.ID, "end"), line)
		s.mu.Lock()
		s.sessions--
		s.mu.Unlock()
		close(one.over)
	}()
	return 0, ""
}

// openStreams: a command writes into files, so that nothing holds it up, and what it leaves behind goes on.
func openStreams(wanted order) ([]*os.File, error) {
	err := os.WriteFile(commandFile(wanted.ID, "stdin"), wanted.Stdin, 0o600)
	flags := map[string]int{"stdin": os.O_RDONLY, "stdout": os.O_CREATE | os.O_RDWR | os.O_APPEND}
	flags["stderr"] = flags["stdout"]
	var files []*os.File
	for _, name := range []string{"stdin", "stdout", "stderr"} {
		if err == nil {
			var file *os.File
			file, err = os.OpenFile(commandFile(wanted.ID, name), flags[name], 0o600)
			files = append(files, file)
		}
	}
	os.Remove(commandFile(wanted.ID, "stdin"))
	return files, err
}

func (s *supervisor) runCommand(wanted order, files []*os.File, how *end) {
	variables := map[string]string{"BERTH_DIRECTORY_FILE": commandFile(wanted.ID, "directory")}
	for name, value := range wanted.Env {
		variables[name] = value
	}
	pid, ended, err := s.processes.start(wanted.Words, environment(variables), wanted.Directory, files...)
	if err != nil {
		how.ExitCode = startCode(err)
		return
	}
	timeout := time.After(time.Duration(wanted.TimeoutMs) * time.Millisecond)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case status := <-ended:
			how.ExitCode = exitCode(status)
			if how.TimedOut {
				how.ExitCode = 124
			}
			return
		case <-timeout:
			how.TimedOut = true
			s.processes.signal(syscall.SIGKILL, pid)
		case <-tick.C:
			for _, file := range files[1:] {
				if info, err := file.Stat(); err == nil && info.Size() > 8*keptBytes {
					file.Truncate(keptBytes + 1)
				}
			}
		}
	}
}

// readCommand tells on a first line what became of a command and how much it wrote, and then what.
func (s *supervisor) readCommand(id, milliseconds string) (int, string) {
	if _, err := os.Stat(commandFile(id, "")); err != nil || !commandID.MatchString(id) {
		return unknownID, "No such command"
	}
	s.mu.Lock()
	one := s.commands[id]
	s.mu.Unlock()
	how := end{State: "running"}
	if one != nil {
		wait, _ := strconv.Atoi(milliseconds)
		select {
		case <-one.over:
		case <-time.After(min(time.Duration(wait)*time.Millisecond, longestWait)):
		}
		// Of two that are ready at once select takes either.
		select {
		case <-one.over:
			how = one.end
		default:
		}
	} else if json.Unmarshal([]byte(startOf(commandFile(id, "end"), mostInPath)), &how) != nil {
		// The container was started again, and the command ended with the one before.
		how = end{State: "ended", ExitCode: 137}
	}
	directory := ""
	if how.State == "ended" {
		directory = strings.TrimSuffix(startOf(commandFile(id, "directory"), mostInPath), "\n")
	}
	out, err := startOf(commandFile(id, "stdout"), keptBytes+1), startOf(commandFile(id, "stderr"), keptBytes+1)
	line, _ := json.Marshal(map[string]any{"end": how, "directory": directory, "stdout": len(out), "stderr": len(err)})
	return 0, string(line) + "\n" + out + err
}

// forgetOld removes what ended an hour ago: whoever wanted to know has asked.
func (s *supervisor) forgetOld() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends, _ := filepath.Glob(commandFile("*", "end"))
	for _, file := range ends {
		if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > keptFor {
			delete(s.commands, filepath.Base(filepath.Dir(file)))
			os.RemoveAll(filepath.Dir(file))
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

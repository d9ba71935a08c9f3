// The client in a container. It sends requests to the supervisor or the attendant through a Unix socket, and reads their
// files. It is called as `supervisor <verb>`.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"tools/reading"
	"tools/shared"
)

// The driver may send requests to a container as soon as its first process begins.
const startTime = 3 * time.Second

const longestWait = 4 * time.Second

func main() {
	words := append(os.Args[1:], "", "", "")
	switch verb := words[0]; verb {
	case "install":
		shared.Must(install(words[1]))
	case "read":
		read(words[1], words[2])
	case "count":
		count()
	case "ready":
		ready()
	case "access", "status", "work":
		finish(ask("attendant.socket", verb))
	default:
		finish(ask("socket", verb))
	}
}

// install copies the programs beside this one to a directory that the container of the run mounts. It copies the supervisor
// last, so that its presence proves that all are there.
func install(to string) error {
	tools, err := filepath.Glob(shared.Beside("*"))
	for _, tool := range append(tools, shared.Beside("supervisor")) {
		// It runs in a separate pod.
		if filepath.Base(tool) == "archive" {
			continue
		}
		data, readError := os.ReadFile(tool)
		draft := filepath.Join(to, ".new")
		err = errors.Join(err, readError, os.WriteFile(draft, data, 0o755))
		err = errors.Join(err, os.Rename(draft, filepath.Join(to, filepath.Base(tool))))
	}
	return err
}

// ask sends a word and this program's input, if any. The answer is an exit code on a line, and the output. The end of this
// program does not affect a command.
func ask(socket, verb string) (int, string) {
	conn, err := net.Dial("unix", shared.Beside(socket))
	for end := time.Now().Add(startTime); err != nil && time.Now().Before(end); conn, err = net.Dial("unix", shared.Beside(socket)) {
		time.Sleep(10 * time.Millisecond)
	}
	shared.Must(err)
	json.NewEncoder(conn).Encode([]string{verb})
	if verb == "exec" || verb == "access" || verb == "attend" {
		io.Copy(conn, os.Stdin)
	}
	conn.(*net.UnixConn).CloseWrite()
	answer, code := bufio.NewReader(conn), 0
	_, err = fmt.Fscanln(answer, &code)
	shared.Must(err)
	text, err := io.ReadAll(answer)
	shared.Must(err)
	return code, string(text)
}

func finish(code int, text string) {
	out := os.Stdout
	if code != 0 {
		out = os.Stderr
	}
	fmt.Fprint(out, text)
	os.Exit(code)
}

// count counts running commands, terminals and SSH connections.
func count() {
	code, text := ask("socket", "count")
	if code != 0 {
		finish(code, text)
	}
	var access struct {
		Services map[string]struct{ Port int }
	}
	json.Unmarshal([]byte(reading.StartOf(shared.Beside("access.json"), shared.MostAsked)), &access)
	sessions := reading.Number(strings.TrimSpace(text))
	if ssh, ok := access.Services["ssh"]; ok {
		sessions += reading.CountSockets(ssh.Port, reading.Established)
	}
	fmt.Println(sessions)
}

// ready reports whether the command has begun and each of its ports is listened on.
func ready() {
	code, ports := ask("socket", "ready")
	for _, port := range strings.FieldsFunc(ports, func(r rune) bool { return r == ',' }) {
		if code == 0 && reading.CountSockets(reading.Number(port), reading.Listening) == 0 {
			code = shared.NotReady
		}
	}
	if code != 0 {
		finish(code, "Not yet\n")
	}
}

var commandID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,99}$`)

// read prints a command's state and the size of its output on the first line, and then the output.
func read(id, milliseconds string) {
	home := shared.Beside("commands", id)
	if _, err := os.Stat(home); err != nil || !commandID.MatchString(id) {
		finish(shared.UnknownID, "No such command")
	}
	how, directory := endOf(home, milliseconds), ""
	if how.State == "ended" {
		directory = strings.TrimSuffix(reading.StartOf(filepath.Join(home, "directory"), reading.MostInPath), "\n")
	}
	out := reading.StartOf(filepath.Join(home, "stdout"), reading.KeptBytes+1)
	err := reading.StartOf(filepath.Join(home, "stderr"), reading.KeptBytes+1)
	line, _ := json.Marshal(map[string]any{"end": how, "directory": directory, "stdout": len(out), "stderr": len(err)})
	finish(0, string(line)+"\n"+out+err)
}

// endOf waits for the end file of a command, which appears complete.
func endOf(home, milliseconds string) shared.End {
	wait := min(time.Duration(reading.Number(milliseconds))*time.Millisecond, longestWait)
	for until := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		var how shared.End
		if json.Unmarshal([]byte(reading.StartOf(filepath.Join(home, "end"), reading.MostInPath)), &how) == nil {
			return how
		}
		if !time.Now().Before(until) {
			return shared.End{State: "running"}
		}
	}
}

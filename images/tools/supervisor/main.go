// The first process of a container whose image need not contain any program of ours: it starts the command of a run and what is asked for beside
// it. It is its own client too: `supervisor exec` in the same container talks to it through a Unix socket.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// How it ends when what it was asked for was not done.
const (
	wrongUse  = 64
	unknownID = 66
	noPlace   = 70
	closed    = 71
	malformed = 72
	notReady  = 75
)

func main() {
	if len(os.Args) < 2 {
		fail(wrongUse, "usage: supervisor install|run|exec|read|count|attend|open|ready|access|status")
	}
	verb, args := os.Args[1], os.Args[2:]
	switch {
	case verb == "run":
		os.Exit(run(args))
	case verb == "install" && len(args) == 1:
		must(install(args[0]))
	default:
		os.Exit(ask(verb, args))
	}
}

// beside is a path in the directory of the supervisor's own file: there is all that survives a container restart.
func beside(names ...string) string {
	file, err := os.Executable()
	must(err)
	return filepath.Join(append([]string{filepath.Dir(file)}, names...)...)
}

// install copies the programs beside the supervisor to a directory that the container of the run mounts. The supervisor
// comes last: where it is, all is.
func install(to string) error {
	tools, err := filepath.Glob(beside("*"))
	for _, tool := range append(tools, beside("supervisor")) {
		data, readError := os.ReadFile(tool)
		draft := filepath.Join(to, ".new")
		err = errors.Join(err, readError, os.WriteFile(draft, data, 0o755))
		err = errors.Join(err, os.Rename(draft, filepath.Join(to, filepath.Base(tool))))
	}
	return err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func must(err error) {
	if err != nil {
		fail(noPlace, err.Error())
	}
}

func fail(code int, problem string) {
	fmt.Fprintln(os.Stderr, "supervisor: "+problem)
	os.Exit(code)
}

// Starts an SSH session. ssh.sh makes it the login shell, so dropbear runs it, with `-c <line>` for a command. An image
// needs no SFTP server, scp or shell.
package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"tools/shared"
)

// Dropbear replaces the image's PATH, which ssh.sh keeps in this variable.
const imagePath = "BERTH_IMAGE_PATH"

// The lines that dropbear (SFTPSERVER_PATH) and Debian's build of it run for the subsystem `sftp`.
var subsystem = regexp.MustCompile(`^/usr/lib(exec)?/sftp-server$`)

func main() {
	if path, isKept := os.LookupEnv(imagePath); isKept {
		shared.Must(os.Setenv("PATH", path))
		shared.Must(os.Unsetenv(imagePath))
	}
	words := []string{shell()}
	if len(os.Args) == 3 && os.Args[1] == "-c" {
		words = command(words[0], os.Args[2])
	}
	err := syscall.Exec(words[0], words, os.Environ())
	shared.Fail(shared.StartCode(err), err.Error())
}

// shell returns the path of the image's best shell. It never becomes a login shell, because many profiles replace PATH.
func shell() string {
	for _, name := range []string{"bash", "sh", shared.Beside("sh")} {
		if path, err := exec.LookPath(name); err == nil {
			// Programs such as tmux start the shell that SHELL names, and dropbear puts this program there.
			shared.Must(os.Setenv("SHELL", path))
			return path
		}
	}
	shared.Fail(127, "no shell")
	return ""
}

func command(shell, line string) []string {
	if subsystem.MatchString(line) {
		return []string{shared.Beside("sftp-server")}
	}
	if _, err := exec.LookPath("scp"); err != nil && strings.HasPrefix(line, "scp ") {
		line = shared.Beside(line)
	}
	if filepath.Base(shell) == "bash" {
		// For SSH clients, bash reads ~/.bashrc before each command, and an image's file may print text.
		return []string{shell, "--norc", "-c", "--", line}
	}
	return []string{shell, "-c", "--", line}
}

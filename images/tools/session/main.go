// Starts a session of SSH. ssh.sh makes it the login's shell, so dropbear runs it, with `-c <line>` where the client wants
// a command. An image needs no SFTP server, no scp and no shell of its own.
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

// Dropbear puts a PATH of its own in place of the image's, which ssh.sh keeps in this variable.
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

// shell returns the path of the best shell of the image. It never becomes a login shell, which would read a profile: many
// profiles set PATH anew.
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
		// For a client of SSH bash reads ~/.bashrc before each command, and that of an image may print.
		return []string{shell, "--norc", "-c", "--", line}
	}
	return []string{shell, "-c", "--", line}
}

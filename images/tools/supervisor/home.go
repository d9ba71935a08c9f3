package main

import (
	"os"
	"strconv"
	"strings"

	"tools/shared"
)

// moveHome makes the disk the home of this user in /etc/passwd, because ssh, ssh-keygen and `~user` do not read $HOME.
// Only the first process of a container does that: any other could change the file of its machine. Users other than root
// may not, and keep the image's home there.
func moveHome() {
	home := shared.DiskHome()
	if os.Getpid() != 1 || home == "" || strings.ContainsAny(home, ":\n") {
		return
	}
	const file = "/etc/passwd"
	before, err := os.ReadFile(file)
	if err != nil {
		return
	}
	if after := withHome(string(before), strconv.Itoa(os.Getuid()), home); after != string(before) {
		// Renamed, so that a full disk leaves the image's file.
		if os.WriteFile(file+".berth", []byte(after), 0o644) == nil {
			os.Rename(file+".berth", file)
		}
	}
}

// withHome changes the sixth field of the user's lines (passwd(5)).
func withHome(passwd, user, home string) string {
	lines := strings.Split(passwd, "\n")
	for at, line := range lines {
		if fields := strings.Split(line, ":"); len(fields) == 7 && fields[2] == user {
			fields[5] = home
			lines[at] = strings.Join(fields, ":")
		}
	}
	return strings.Join(lines, "\n")
}

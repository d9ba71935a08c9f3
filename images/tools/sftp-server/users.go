package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// readEntries returns the fields of the lines of passwd(5) or group(5). An image may have neither file.
func readEntries(file string) [][]string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	entries := [][]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Split(line, ":"); len(fields) > 2 {
			entries = append(entries, fields)
		}
	}
	return entries
}

// listNames returns the names of ids, each as a string of SFTP. An unknown id has an empty name.
func listNames(file, ids string) string {
	names := map[string]string{}
	for _, entry := range readEntries(file) {
		if _, isKnown := names[entry[2]]; !isKnown {
			names[entry[2]] = entry[0]
		}
	}
	list := []byte{}
	for at := 0; at < len(ids); at += 4 {
		id := binary.BigEndian.Uint32([]byte(ids[at : at+4]))
		list = appendString(list, names[strconv.FormatUint(uint64(id), 10)])
	}
	return string(list)
}

// findHome returns the home of a user. An empty name means our own.
func findHome(user string) (string, error) {
	own := os.Getenv("HOME")
	if user == "" {
		return own, nil
	}
	for _, entry := range readEntries("/etc/passwd") {
		if entry[0] != user || len(entry) < 6 {
			continue
		}
		if entry[2] == strconv.Itoa(os.Getuid()) && own != "" {
			return own, nil
		}
		return entry[5], nil
	}
	return "", os.ErrNotExist
}

// expandHome replaces `~` and `~user` at the start of a path.
func expandHome(path string) (string, error) {
	if !strings.HasPrefix(path, "~") {
		return path, nil
	}
	user, rest, _ := strings.Cut(path[1:], "/")
	home, err := findHome(user)
	return filepath.Join(home, rest), err
}

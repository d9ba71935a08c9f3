// Zips a directory and sends the zip to an address that takes it: `archive <file>`, where it leaves its last words. What
// it is to do is in its environment: ARCHIVE_FROM is the directory, ARCHIVE_TO the address and the headers that are sent
// there, as JSON. The address lets in whoever has it, and is printed nowhere.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// What it leaves at its end.
type lastWords struct {
	Bytes   int64  `json:"bytes"`
	Skipped int    `json:"skipped"`
	Problem string `json:"problem,omitempty"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: archive <file>")
		os.Exit(64)
	}
	words, err := archive(os.Getenv("ARCHIVE_FROM"), os.Getenv("ARCHIVE_TO"))
	if err != nil {
		words = lastWords{Problem: err.Error()}
	}
	text, _ := json.Marshal(words)
	fmt.Println(string(text))
	if os.WriteFile(os.Args[1], text, 0o644) != nil || err != nil {
		os.Exit(1)
	}
}

// archive makes the zip twice. Whoever takes it is told its length before its first byte (S3 takes no upload without one),
// and nothing of the directory is to be left on the machine, as a draft would be.
func archive(from, to string) (lastWords, error) {
	place, err := placeOf(to)
	if err != nil {
		return lastWords{}, err
	}
	var counted counter
	skipped, err := writeZip(&counted, from)
	if err != nil {
		return lastWords{}, err
	}
	if counted > mostSent {
		return lastWords{}, fmt.Errorf("the zip has %d bytes, and one upload takes %d", counted, int64(mostSent))
	}
	return lastWords{Bytes: int64(counted), Skipped: skipped}, sendAgain(place, from, int64(counted))
}

type counter int64

func (count *counter) Write(bytes []byte) (int, error) {
	*count += counter(len(bytes))
	return len(bytes), nil
}

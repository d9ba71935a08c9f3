// Zips a directory and uploads the zip: `archive <file>`, which receives the result. ARCHIVE_FROM is the directory,
// ARCHIVE_TO the address and the headers of the upload, as JSON. The address works without a key, so it is never printed.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// The result.
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

// archive makes the zip twice. S3 requires the length before the first byte, and a temporary file would leave the directory's
// data on the machine.
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

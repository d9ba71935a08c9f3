package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// One upload to S3 has at most 5 GiB (Amazon S3 User Guide, "Uploading objects").
const mostSent counter = 5 << 30

const mostTries = 3

type place struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// placeOf parses the address. Its error does not contain the input.
func placeOf(text string) (place, error) {
	var read place
	if json.Unmarshal([]byte(text), &read) != nil || read.URL == "" {
		return place{}, errors.New("ARCHIVE_TO holds no address")
	}
	return read, nil
}

// refused reports whether a retry would be refused again.
type refused int

func (status refused) Error() string {
	return fmt.Sprintf("the upload was refused with %d", int(status))
}

func sendAgain(to place, from string, length int64) error {
	for try := 1; ; try++ {
		err := send(to, from, length)
		var refusal refused
		if err == nil || try == mostTries || (errors.As(err, &refusal) && refusal < 500) {
			return err
		}
		time.Sleep(time.Duration(try) * 500 * time.Millisecond)
	}
}

func send(to place, from string, length int64) error {
	reader, writer := io.Pipe()
	defer reader.Close()
	go func() {
		_, err := writeZip(writer, from)
		writer.CloseWithError(err)
	}()
	request, err := http.NewRequest(http.MethodPut, to.URL, reader)
	if err != nil {
		return withoutAddress(err)
	}
	// The transport aborts a body of another length, so it becomes no upload.
	request.ContentLength = length
	for name, value := range to.Headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return withoutAddress(err)
	}
	response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return refused(response.StatusCode)
	}
	return nil
}

// The address is valid for one place only.
var client = http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// withoutAddress removes the address from errors of requests.
func withoutAddress(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		return fmt.Errorf("the upload broke off: %w", named.Err)
	}
	return err
}

// SPDX-License-Identifier: Apache-2.0

// Command head sends HEAD for one address over and over and prints one line of JSON.
//
// The usual load generators wait for the body that Content-Length announces, which never comes.
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var (
	address     = flag.String("url", "", "what to ask for")
	accept      = flag.String("accept", "*/*", "media types")
	connections = flag.Int("connections", 16, "how many ask at the same time")
	seconds     = flag.Float64("seconds", 3, "how long")
)

func main() {
	flag.Parse()
	target, err := url.Parse(*address)
	check(err)
	request := fmt.Sprintf("HEAD %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n\r\n", target.Path, target.Host, *accept)
	var done atomic.Int64
	var waiting sync.WaitGroup
	begin := time.Now()
	end := begin.Add(time.Duration(*seconds * float64(time.Second)))
	for range *connections {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			connection := dial(target)
			defer connection.Close()
			for time.Now().Before(end) {
				once(connection, []byte(request))
				done.Add(1)
			}
		}()
	}
	waiting.Wait()
	elapsed := time.Since(begin).Seconds()
	json.NewEncoder(os.Stdout).Encode(map[string]any{"requests": done.Load(), "seconds": elapsed})
}

func dial(target *url.URL) net.Conn {
	if target.Scheme == "https" { // loopback: speed is asked here, not trust
		connection, err := tls.Dial("tcp", target.Host, &tls.Config{InsecureSkipVerify: true})
		check(err)
		return connection
	}
	connection, err := net.Dial("tcp", target.Host)
	check(err)
	return connection
}

func once(connection net.Conn, request []byte) {
	_, err := connection.Write(request)
	check(err)
	buffer, filled := make([]byte, 4096), 0
	for !bytes.HasSuffix(buffer[:filled], []byte("\r\n\r\n")) {
		count, err := connection.Read(buffer[filled:])
		check(err)
		filled += count
	}
	if !bytes.HasPrefix(buffer, []byte("HTTP/1.1 200 ")) {
		check(fmt.Errorf("%s: %.60s", *address, buffer))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "head:", err)
		os.Exit(1)
	}
}

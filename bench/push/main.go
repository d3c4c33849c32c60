// SPDX-License-Identifier: Apache-2.0

// Command push uploads to a registry until a time is over and prints one line of JSON.
// With -seconds=0 it goes on until its standard input ends.
//
// Each client has one connection. An image is pushed as docker and crane do it: HEAD, POST, PATCH
// and PUT for each blob, then PUT of the manifest. A large blob is POST and PUT of the whole.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"
)

var (
	base    = flag.String("url", "", "the registry, https://host:port")
	user    = flag.String("user", "", "name:password; empty for none")
	clients = flag.Int("clients", 8, "how many push at the same time")
	size    = flag.Int("size", 65536, "bytes of a layer")
	images  = flag.Bool("images", false, "push whole images, not only layers")
	seconds = flag.Float64("seconds", 5, "how long; 0 until standard input ends")
	most    = flag.Int("most", 1<<30, "at most so many pushes")
)

type client struct {
	http  *http.Client
	layer []byte
	repo  string
	done  int
	took  []time.Duration
}

func main() {
	flag.Parse()
	all := make([]*client, *clients)
	for i := range all {
		all[i] = newClient(i)
	}
	begin := time.Now()
	over := stop()
	var waiting sync.WaitGroup
	for _, one := range all {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			for one.done < *most && over.Err() == nil {
				one.push()
			}
		}()
	}
	waiting.Wait()
	elapsed := time.Since(begin).Seconds()
	var took []time.Duration
	var sum time.Duration
	for _, one := range all {
		took = append(took, one.took...)
	}
	for _, each := range took {
		sum += each
	}
	slices.Sort(took)
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"pushes": len(took), "seconds": elapsed, "in_requests": sum.Seconds(), "bytes": len(took) * *size,
		"p50_ms": percentile(took, 50), "p99_ms": percentile(took, 99), "max_ms": percentile(took, 100),
	})
}

// stop returns a context that is over when nothing more is to be begun.
func stop() context.Context {
	over, end := context.WithCancel(context.Background())
	if *seconds > 0 {
		time.AfterFunc(time.Duration(*seconds*float64(time.Second)), end)
		return over
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		end()
	}()
	return over
}

// percentile returns milliseconds; of no pushes at all, 0.
func percentile(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*percent/100].Seconds() * 1000
}

func newClient(number int) *client {
	layer := make([]byte, *size)
	rand.Read(layer)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // loopback: speed is asked here
		TLSNextProto:      map[string]func(string, *tls.Conn) http.RoundTripper{},
		WriteBufferSize:   256 << 10,
		DisableKeepAlives: false,
	}
	var word [4]byte
	rand.Read(word[:])
	repo := fmt.Sprintf("bench/push-%x-%d", word, number)
	return &client{http: &http.Client{Transport: transport}, layer: layer, repo: repo}
}

func (c *client) push() {
	binary.BigEndian.PutUint64(c.layer, uint64(time.Now().UnixNano())) // a layer nobody has yet
	layer := digest(c.layer)
	begin := time.Now()
	if !*images {
		location := c.ask("POST", "/v2/"+c.repo+"/blobs/uploads/", nil, "", 202)
		c.ask("PUT", with(location, layer), c.layer, octets, 201)
		c.took = append(c.took, time.Since(begin))
		c.done++
		return
	}
	config := []byte(fmt.Sprintf(`{"architecture":"amd64","os":"linux","created":%q}`, time.Now().Format(time.RFC3339Nano)))
	c.blob(layer, c.layer)
	c.blob(digest(config), config)
	manifest := []byte(fmt.Sprintf(manifestText, digest(config), len(config), layer, len(c.layer)))
	tag := fmt.Sprintf("v%d", c.done)
	c.ask("PUT", "/v2/"+c.repo+"/manifests/"+tag, manifest, ociManifest, 201)
	c.took = append(c.took, time.Since(begin))
	c.done++
}

func (c *client) blob(name string, content []byte) {
	c.ask("HEAD", "/v2/"+c.repo+"/blobs/"+name, nil, "", 404)
	location := c.ask("POST", "/v2/"+c.repo+"/blobs/uploads/", nil, "", 202)
	location = c.ask("PATCH", location, content, octets, 202)
	c.ask("PUT", with(location, name), nil, octets, 201)
}

func (c *client) ask(method, where string, body []byte, kind string, status int) string {
	address := where
	if where[0] == '/' {
		address = *base + where
	}
	request, err := http.NewRequest(method, address, bytes.NewReader(body))
	check(err)
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	if *user != "" {
		parts := bytes.SplitN([]byte(*user), []byte(":"), 2)
		request.SetBasicAuth(string(parts[0]), string(parts[1]))
	}
	answer, err := c.http.Do(request)
	check(err)
	text, err := io.ReadAll(answer.Body)
	check(err)
	answer.Body.Close()
	if answer.StatusCode != status {
		check(fmt.Errorf("%s %s: %d %s", method, where, answer.StatusCode, text))
	}
	return answer.Header.Get("Location")
}

func with(location, digest string) string {
	parsed, err := url.Parse(location)
	check(err)
	query := parsed.Query()
	query.Set("digest", digest)
	parsed.RawQuery = query.Encode()
	return parsed.String()
}

func digest(content []byte) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(content))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "push:", err)
		os.Exit(1)
	}
}

const (
	octets       = "application/octet-stream"
	ociManifest  = "application/vnd.oci.image.manifest.v1+json"
	manifestText = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},` +
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`
)

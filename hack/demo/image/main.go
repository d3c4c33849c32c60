// SPDX-License-Identifier: Apache-2.0

// A program for a small image: says hello and waits until it is asked to go.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	text, err := os.ReadFile("/hello.txt")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(string(text))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}

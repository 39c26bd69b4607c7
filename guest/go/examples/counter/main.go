// Counts in storage: X-Counter is 1, 2, 3 ...
package main

import (
	"fmt"
	"strconv"

	"skerry"
)

// In storage, count stays; one call at a time runs there.
var count uint64

var increment = skerry.Storage(func([]byte) []byte {
	count++
	return strconv.AppendUint(nil, count, 10)
})

func handle(*skerry.Request) skerry.Response {
	counted, err := increment.Call(nil)
	if err != nil {
		return skerry.Text(503, "try again\n")
	}
	return skerry.Text(200, "Hello Compute World!").With("X-Counter", string(counted))
}

func main() {
	if skerry.IsStorage() {
		fmt.Println("Hello Storage World!")
	}
	skerry.Serve(handle)
}

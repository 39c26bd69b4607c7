// Counts in shared memory: "Hello 0 World!", "Hello 1 World!" ... No request waits for
// another.
package main

import (
	"fmt"
	"sync/atomic"

	"skerry"
)

var count = skerry.Shared[atomic.Uint64]()

func main() {
	skerry.Serve(func(*skerry.Request) skerry.Response {
		return skerry.Text(200, fmt.Sprintf("Hello %d World!", count.Add(1)-1))
	})
}

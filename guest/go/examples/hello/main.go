// The smallest program: every request is answered with the same line.
package main

import "skerry"

func main() {
	skerry.Serve(func(*skerry.Request) skerry.Response {
		return skerry.Text(200, "Hello World!")
	})
}

// {{name}}: answers every request with a line of text.
package main

import "skerry"

func handle(*skerry.Request) skerry.Response {
	return skerry.Text(200, "Hello from {{name}}!\n")
}

func main() {
	// This runs once, and then the machine is frozen; every request gets a copy.
	skerry.Serve(handle)
}

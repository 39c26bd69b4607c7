## {{name}}: answers every GET with a line of text.

import skerry/skerry

onGet proc (request: Request): Response =
  text("Hello from {{name}}!\n")

# All above runs once, and then the machine is frozen; every request gets a copy.
wait()

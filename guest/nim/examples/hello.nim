## The smallest program: every GET is answered with the same line.

import skerry

onGet proc (request: Request): Response =
  text("Hello World!")

wait()

// Command bellhop takes sign-ups and sends the mail each one is owed.
package main

import (
	"context"
	"os"

	"bellhop/internal/app"
)

func main() {
	os.Exit(app.Run(context.Background(), app.Program{
		Args: os.Args[1:], Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}

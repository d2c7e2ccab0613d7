// Compose-config reads a compose file as Docker Compose does and prints what it means: `docker compose config` where there
// is no Docker. It exits with 1 when the file breaks the specification, or refers to what is not in it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(files []string) error {
	options, err := cli.NewProjectOptions(files, cli.WithOsEnv, cli.WithInterpolation(true), cli.WithConsistency(true))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	printed, err := project.MarshalYAML()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(printed)
	return err
}

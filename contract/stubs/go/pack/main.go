// Command pack adds a version of a module to a folder that GOPROXY=file://… takes:
//
//	pack <folder of the module> <version> <folder of the proxy>
//
// The same files give the same bytes: the entries of the zip carry no time.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("pack: ")
	if len(os.Args) != 4 {
		log.Fatal("usage: pack <folder of the module> <version> <folder of the proxy>")
	}
	packed, err := pack(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("built %s in %s\n", packed, os.Args[3])
}

func pack(source, version, proxy string) (module.Version, error) {
	manifest, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return module.Version{}, err
	}
	packed := module.Version{Path: modfile.ModulePath(manifest), Version: version}
	if err := module.Check(packed.Path, packed.Version); err != nil {
		return module.Version{}, err
	}
	escaped, err := module.EscapePath(packed.Path)
	if err != nil {
		return module.Version{}, err
	}
	versions := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return module.Version{}, err
	}

	var archive bytes.Buffer
	if err := zip.CreateFromDir(&archive, packed, source); err != nil {
		return module.Version{}, err
	}
	file := filepath.Join(versions, version)
	return packed, errors.Join(
		os.WriteFile(file+".info", fmt.Appendf(nil, "{\"Version\":%q}\n", version), 0o644),
		os.WriteFile(file+".mod", manifest, 0o644),
		os.WriteFile(file+".zip", archive.Bytes(), 0o644),
		list(versions),
	)
}

// list names the versions that are there, for `go get …@latest`.
func list(versions string) error {
	infos, err := filepath.Glob(filepath.Join(versions, "*.info"))
	if err != nil {
		return err
	}
	var names strings.Builder
	for _, info := range infos {
		fmt.Fprintln(&names, strings.TrimSuffix(filepath.Base(info), ".info"))
	}
	return os.WriteFile(filepath.Join(versions, "list"), []byte(names.String()), 0o644)
}

// Filecycles reports the cycles among the files of a package that are longer than a limit. The compiler forbids cycles among packages;
// within a package, a long one means that none of its files can be understood before all others.
//
//	filecycles [-max 4] packages
//
// A file uses another one if it uses a function, method, type, constant or variable of the package that the other one declares. Fields
// and test files don't count. Filecycles prints each long cycle with the names that tie it, and exits with 1 if there is one.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("filecycles: ")
	limit := flag.Int("max", 4, "the most files that a cycle may have")
	flag.Parse()
	long, err := check(os.Stdout, *limit, flag.Args())
	if err != nil {
		log.Fatal(err)
	}
	if long > 0 {
		os.Exit(1)
	}
}

// listed is a package, as go list describes it.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// check prints the cycles of more than limit files in the packages, and returns how many there are.
func check(out io.Writer, limit int, patterns []string) (long int, err error) {
	packages, err := list(patterns)
	if err != nil {
		return 0, err
	}
	exports := make(map[string]string)
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	fset := token.NewFileSet()
	deps := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range packages {
		if p.DepOnly {
			continue
		}
		uses, err := usesOf(fset, deps, p)
		if err != nil {
			return long, err
		}
		for _, cycle := range cycles(uses) {
			if len(cycle) > limit {
				long++
				report(out, p.ImportPath, cycle, uses)
			}
		}
	}
	return long, nil
}

// list returns the packages and all that they depend on, which are compiled for it.
func list(patterns []string) (packages []listed, err error) {
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly", "--"}, patterns...)...)
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// uses are the names that each file uses of each other file.
type uses map[string]map[string][]string

// usesOf returns the uses among the files of a package.
func usesOf(fset *token.FileSet, deps types.Importer, p listed) (uses, error) {
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	pkg, err := (&types.Config{Importer: deps}).Check(p.ImportPath, fset, files, info)
	if err != nil {
		return nil, err
	}
	u := make(uses)
	for ident, object := range info.Uses {
		if f, ok := object.(*types.Func); ok {
			object = f.Origin() // the method of the generic type
		} else if object.Parent() != pkg.Scope() {
			continue // of another package, local, or a field
		}
		from, to := fset.Position(ident.Pos()).Filename, fset.Position(object.Pos()).Filename
		if object.Pkg() == pkg && from != to {
			u.add(filepath.Base(from), filepath.Base(to), object.Name())
		}
	}
	return u, nil
}

func (u uses) add(from, to, name string) {
	if u[from] == nil {
		u[from] = make(map[string][]string)
	}
	if !slices.Contains(u[from][to], name) {
		u[from][to] = append(u[from][to], name)
	}
}

// cycles returns the sets of several files that all use each other, be it through others.
func cycles(u uses) (found [][]string) {
	reached := make(map[string]map[string]bool)
	for from := range u {
		reached[from] = make(map[string]bool)
		u.reach(from, reached[from])
	}
	done := make(map[string]bool)
	for _, from := range slices.Sorted(maps.Keys(u)) {
		if done[from] || !reached[from][from] {
			continue
		}
		var cycle []string
		for to := range reached[from] {
			if reached[to][from] {
				cycle, done[to] = append(cycle, to), true
			}
		}
		slices.Sort(cycle)
		found = append(found, cycle)
	}
	return found
}

// reach adds the files that a file uses, and those that these use.
func (u uses) reach(from string, reached map[string]bool) {
	for to := range u[from] {
		if !reached[to] {
			reached[to] = true
			u.reach(to, reached)
		}
	}
}

// report prints a cycle and what ties it.
func report(out io.Writer, path string, cycle []string, u uses) {
	fmt.Fprintf(out, "%s: a cycle of %d files: %s\n", path, len(cycle), strings.Join(cycle, " "))
	for _, from := range cycle {
		for _, to := range cycle {
			if names := u[from][to]; len(names) > 0 {
				fmt.Fprintf(out, "\t%s uses %s: %s\n", from, to, strings.Join(slices.Sorted(slices.Values(names)), " "))
			}
		}
	}
}

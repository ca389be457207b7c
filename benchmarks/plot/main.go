// Command plot draws how costs grow, as a picture or a table, from the output of BenchmarkGrowth:
//
//	go test -run '^$' -bench Growth . | tee growth.txt
//	go run ./plot <growth.txt >growth.svg
//	go run ./plot -table <growth.txt >growth.md
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	table := flag.Bool("table", false, "write a Markdown table instead of the picture")
	flag.Parse()
	draw := drawSVG
	if *table {
		draw = drawTable
	}
	if err := run(os.Stdin, os.Stdout, draw); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, draw func([]chart) string) error {
	results, err := parse(in)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, draw(charts(results)))
	return err
}

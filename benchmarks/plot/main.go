// Command plot draws how costs grow, as a picture or a table, from the output of BenchmarkGrowth, or with -scale of BenchmarkScale:
//
//	go test -run '^$' -bench Growth . | tee growth.txt
//	go run ./plot <growth.txt >growth.svg
//	go run ./plot -table <growth.txt >growth.md
//	go test -run '^$' -bench Scale ./scale | go run ./plot -scale >scale.svg
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	table := flag.Bool("table", false, "write a Markdown table instead of the picture")
	scale := flag.Bool("scale", false, "read the output of BenchmarkScale")
	flag.Parse()
	draw := drawGrowth
	if *scale {
		draw = drawScale
	}
	if err := run(os.Stdin, os.Stdout, *table, draw); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, table bool, draw func(in io.Reader, table bool) (string, error)) error {
	drawn, err := draw(in, table)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, drawn)
	return err
}

const (
	growthTitle = "How the costs of tiercache grow"
	scaleTitle  = "What it costs that many processes learn of changes"
)

func drawGrowth(in io.Reader, table bool) (string, error) {
	results, err := parse(in)
	switch {
	case err != nil:
		return "", err
	case table:
		return drawTable(charts(results)), nil
	}
	return drawSVG(growthTitle, charts(results)), nil
}

func drawScale(in io.Reader, table bool) (string, error) {
	results, err := parseScale(in)
	switch {
	case err != nil:
		return "", err
	case table:
		return results.table(), nil
	}
	return drawSVG(scaleTitle, results.charts()), nil
}

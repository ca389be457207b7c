// Command conformance runs http-cache-tests, the suite behind cache-tests.fyi, against examples/proxy on net/http and on
// Fiber, and against a client with a private cache (httpcache.Transport), and compares the verdicts with those of baseline.txt:
//
//	go run ./internal/conformance                  # what make conformance does
//	go run ./internal/conformance -v               # with the message of each test that fails
//	go run ./internal/conformance -ids vary,304-etag-update-response-ETag -server nethttp
//	go run ./internal/conformance -update          # rewrite baseline.txt
//
// It fails if a required or optimal test that passes in the baseline fails twice in a row. npm installs the suite into
// .conformance, where the logs of the servers are, too.
//
// suite.go installs and runs the suite; relay.go lets it reach the client; verdict.go computes verdicts as the suite's own pages
// do; expected.go lists the tests that can't pass; baseline.go and report.go compare and print.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// flagValues has the values of the flags.
type flagValues struct {
	ids     []string // tests and groups; empty: all
	servers []string
	verbose bool
	update  bool
	timeout time.Duration
}

func parse(args []string) (flagValues, error) {
	var s flagValues
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	ids := flags.String("ids", "", "run only these tests or groups, and what they depend on: `ID,ID...`")
	server := flags.String("server", "", "run only this server: `nethttp`, fiber or transport")
	flags.BoolVar(&s.verbose, "v", false, "say why each test fails that doesn't pass; implied by -ids")
	flags.BoolVar(&s.update, "update", false, "write the verdicts to the baseline")
	flags.DurationVar(&s.timeout, "timeout", 5*time.Minute, "for the whole run, including installation")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q: only flags are accepted", flags.Arg(0))
	}
	s.servers = servers
	if *server != "" {
		if !slices.Contains(servers, *server) {
			return s, fmt.Errorf("-server is %q: want one of %s", *server, strings.Join(servers, ", "))
		}
		s.servers = []string{*server}
	}
	if *ids != "" {
		s.ids, s.verbose = strings.Split(*ids, ","), true
	}
	return s, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("not done in %v", s.timeout))
	defer cancel()
	suite, err := install(ctx)
	if err != nil {
		return withCause(ctx, err)
	}
	base, err := readBaseline(suite.baseline)
	if err != nil {
		return err
	}

	var reports []*report
	for _, server := range s.servers {
		r, err := rate(ctx, suite, s.ids, server, base[server])
		if err != nil {
			return withCause(ctx, err)
		}
		r.writeTable(out)
		if s.verbose {
			r.writeFailures(out)
		}
		r.writeChanges(out)
		reports = append(reports, r)
	}
	fmt.Fprintln(out)
	if s.update {
		return update(out, suite.baseline, base, reports)
	}
	return conclude(out, reports)
}

// rate runs the tests on one server. It runs those again that are worse than in the baseline: on a busy machine any test may
// fail.
func rate(ctx context.Context, s *suite, ids []string, server string, base map[string]verdict) (*report, error) {
	o, err := s.run(ctx, server, ids)
	if err != nil {
		return nil, err
	}
	r := newReport(server, o, base, ids)
	var again []string
	for _, t := range r.worse() {
		again = append(again, t.ID)
	}
	if len(again) == 0 {
		return r, nil
	}
	second, err := s.run(ctx, server, again)
	if err != nil {
		return nil, err
	}
	o.mergePasses(second)
	return newReport(server, o, base, ids), nil
}

func update(out io.Writer, file string, base baseline, reports []*report) error {
	for _, r := range reports {
		base.set(r.server, r.verdicts)
	}
	if err := base.write(file); err != nil {
		return err
	}
	fmt.Fprintf(out, "Written to %s.\n", file)
	return conclude(out, reports) // none is worse than the new baseline
}

// conclude prints a line for each server, and returns an error if a test got worse.
func conclude(out io.Writer, reports []*report) error {
	var worse []string
	for _, r := range reports {
		fmt.Fprintln(out, r.summary())
		if len(r.worse()) > 0 {
			worse = append(worse, r.server)
		}
	}
	if len(worse) > 0 {
		return fmt.Errorf("tests that passed before fail on %s; if that is intended, run it with -update", strings.Join(worse, " and "))
	}
	return nil
}

// withCause adds the reason why ctx ended, if it did.
func withCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

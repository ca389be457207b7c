package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// contest has the servers that are compared.
type contest struct {
	dir     string // for configurations and logs
	cores   cores
	running []*process
	entries []*entry
}

// entry is one server with its request, and the measurements.
type entry struct {
	*process
	version string
	hit     func(http.Header) bool
	has     string // the entity tag of the client's copy, if it has one

	// By round:
	rates []float64 // requests a second
	costs []float64 // microseconds of processor time for a request
}

// begin starts all servers and lets them store the page.
func (c *contest) begin(ctx context.Context, out io.Writer) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	statusHit := says("Cache-Status", "; hit")
	for _, e := range []struct {
		name        string
		version     string
		hit         func(http.Header) bool
		notModified bool // it answers 304 to a client with a copy
	}{
		{"net/http", goVersion(), statusHit, false}, // a hit's status, written by hand
		{"httpcache", "", statusHit, true},
		{"Fiber", fiberVersion(), statusHit, false},
		{"fibercache", "", statusHit, true},
		{"fibercache, shared", "", statusHit, false},
		{"Fiber's cache", fiberVersion(), says("X-Cache", "hit"), false},
	} {
		p, err := c.start(e.name, "", c.cores.server(self, "-serve", e.name))
		if err != nil {
			return err
		}
		c.add(entry{process: p, version: e.version, hit: e.hit}, e.notModified)
	}
	unmodified, err := c.start("net/http, 304", "", c.cores.server(self, "-serve", "net/http, 304"))
	if err != nil {
		return err
	}
	unmodified.name = "net/http"
	c.entries = append(c.entries, &entry{process: unmodified, version: goVersion(), hit: statusHit, has: etag})
	if err := c.beginProxies(out, self); err != nil {
		return err
	}
	for _, e := range c.entries {
		if err := e.warm(ctx); err != nil {
			return err
		}
	}
	return nil
}

// beginProxies starts the proxies that are installed.
func (c *contest) beginProxies(out io.Writer, self string) error {
	behind, err := c.start("origin", "", exec.Command(self, "-serve", "origin"))
	if err != nil {
		return err
	}
	for _, e := range []struct {
		proxy
		versionFlag string
		hit         func(http.Header) bool
	}{
		{nginx, "-v", says("X-Cache-Status", "HIT")},
		{varnish, "-V", says("X-Varnish", " ")}, // on a hit it has two numbers, of this request and of the stored one
	} {
		p, err := e.start(c, behind.url)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(out, "%s is left out: %s is not installed\n", e.name, e.command)
			continue
		}
		if err != nil {
			return err
		}
		v, err := versionOf(e.command, e.versionFlag)
		if err != nil {
			return err
		}
		c.add(entry{process: p, version: v, hit: e.hit}, true)
	}
	return nil
}

// add adds the server: once with a request for the page and, with notModified, once with a client that has a copy.
func (c *contest) add(e entry, notModified bool) {
	c.entries = append(c.entries, &e)
	if notModified {
		again := e
		again.has = etag
		c.entries = append(c.entries, &again)
	}
}

// title returns the server's name, with "304" if that is its response.
func (e *entry) title() string {
	if e.has != "" {
		return e.name + ", 304"
	}
	return e.name
}

// says reports whether a field has the text in it.
func says(name, text string) func(http.Header) bool {
	return func(h http.Header) bool { return strings.Contains(h.Get(name), text) }
}

// warm requests the page, so that it is stored.
func (e *entry) warm(ctx context.Context) error {
	for range 2 {
		if _, _, err := e.fetch(ctx, ""); err != nil {
			return err
		}
	}
	return e.check(ctx)
}

// check returns an error if the response isn't a hit with the page, or the 304.
func (e *entry) check(ctx context.Context) error {
	answer, body, err := e.fetch(ctx, e.has)
	if err != nil {
		return err
	}
	status, want := http.StatusOK, page
	if e.has != "" {
		status, want = http.StatusNotModified, nil
	}
	if answer.StatusCode != status || !bytes.Equal(body, want) || answer.Header.Get("Etag") != etag || !e.hit(answer.Header) {
		return fmt.Errorf("the response of %s isn't a hit: %d, %d bytes, %v", e.title(), answer.StatusCode, len(body), answer.Header)
	}
	return nil
}

// measure measures the servers by turns.
func (c *contest) measure(ctx context.Context, out io.Writer, rounds int, length time.Duration) error {
	for round := range rounds {
		fmt.Fprintf(out, "round %d:", round+1)
		for _, e := range c.entries {
			if err := c.ask(ctx, e, length); err != nil {
				return err
			}
			fmt.Fprintf(out, " %s %.0f", e.title(), e.rates[round])
		}
		fmt.Fprintln(out)
	}
	for _, e := range c.entries {
		if err := e.check(ctx); err != nil {
			return err
		}
	}
	return nil
}

var (
	perSecond = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	inAll     = regexp.MustCompile(`(\d+) requests in`)
	troubles  = regexp.MustCompile(`Non-2xx.*|Socket errors.*`)
)

// ask runs wrk against one server.
func (c *contest) ask(ctx context.Context, e *entry, length time.Duration) error {
	said := new(bytes.Buffer)
	args := []string{"-t1", "-c32", "--timeout", "30s", "-d", strconv.Itoa(int(length.Seconds())) + "s"}
	if e.has != "" {
		args = append(args, "-H", "If-None-Match: "+e.has)
	}
	cmd := c.cores.client("wrk", append(args, e.url+path)...)
	cmd.Stdout, cmd.Stderr = said, said
	before := cpuTime(e.cmd.Process.Pid)
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return errors.Join(fmt.Errorf("wrk: %w: %s", err, said), ctx.Err())
	}
	used := cpuTime(e.cmd.Process.Pid) - before
	if trouble := troubles.Find(said.Bytes()); trouble != nil {
		return fmt.Errorf("%s: %s", e.title(), trouble)
	}
	rate, err := find(perSecond, said.Bytes())
	if err != nil {
		return err
	}
	requests, err := find(inAll, said.Bytes())
	e.rates = append(e.rates, rate)
	e.costs = append(e.costs, float64(used.Microseconds())/max(requests, 1))
	return err
}

func find(number *regexp.Regexp, said []byte) (float64, error) {
	found := number.FindSubmatch(said)
	if found == nil {
		return 0, fmt.Errorf("wrk says %q", said)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// end stops all servers, the last one started first.
func (c *contest) end() (err error) {
	for len(c.running) > 0 {
		last := len(c.running) - 1
		err = errors.Join(err, c.running[last].end())
		c.running = c.running[:last]
	}
	return err
}

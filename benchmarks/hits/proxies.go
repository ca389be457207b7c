package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// proxy is nginx or Varnish in front of the origin.
type proxy struct {
	name    string
	command string
	config  string // a template: DIR is the directory, LISTEN the address to listen on, ORIGIN that of the origin
	args    func(dir, address string) []string
}

// One worker process. The files it serves from are in the page cache; the log is off, as there is none elsewhere.
var nginx = proxy{
	name:    "nginx",
	command: "nginx",
	config: `daemon off;
worker_processes 1;
pid DIR/pid;
error_log DIR/error.log warn;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000000;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/temp;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	proxy_cache_path DIR/cache keys_zone=pages:1m;
	open_file_cache max=100;
	server {
		listen LISTEN;
		location / {
			proxy_pass http://ORIGIN;
			proxy_cache pages;
			add_header X-Cache-Status $upstream_cache_status;
		}
	}
}
`,
	args: func(dir, _ string) []string {
		args := []string{"-p", dir, "-c", "config", "-e", filepath.Join(dir, "error.log")}
		if os.Geteuid() == 0 { // otherwise its worker's user may not read the directory
			args = append(args, "-g", "user root;")
		}
		return args
	},
}

// One pool of threads. Varnish always writes its log, to shared memory.
var varnish = proxy{
	name:    "Varnish",
	command: "varnishd",
	config: `vcl 4.1;
backend default { .host = "ORIGIN"; }
`,
	args: func(dir, address string) []string {
		return []string{
			"-F", "-j", "none", "-n", filepath.Join(dir, "work"), "-a", address, "-f", filepath.Join(dir, "config"),
			"-s", "malloc,64m", "-p", "thread_pools=1",
		}
	},
}

// start starts the proxy. It returns an error if it isn't installed.
func (p proxy) start(c *contest, origin string) (*process, error) {
	file, err := findCommand(p.command)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(c.dir, p.command)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	host := strings.TrimPrefix(origin, "http://")
	config := strings.NewReplacer("DIR", dir, "LISTEN", address, "ORIGIN", host).Replace(p.config)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return c.start(p.name, "http://"+address, c.cores.server(file, p.args(dir, address)...))
}

// findCommand also looks in directories with servers that a user's PATH may not have.
func findCommand(name string) (string, error) {
	file, err := exec.LookPath(name)
	if err != nil {
		file, err = exec.LookPath("/usr/sbin/" + name)
	}
	return file, err
}

// freeAddress returns a free address, for servers that can't report the port they chose.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

var version = regexp.MustCompile(`\d+\.\d+(\.\d+)*`)

// versionOf returns a program's version, which it may print on either output.
func versionOf(command, flag string) (string, error) {
	file, err := findCommand(command)
	if err != nil {
		return "", err
	}
	out, err := exec.Command(file, flag).CombinedOutput() // wrk's -v is not a success
	v := version.Find(out)
	if v == nil {
		return "", errors.Join(fmt.Errorf("%s %s says %.100q", command, flag, out), err)
	}
	return string(v), nil
}

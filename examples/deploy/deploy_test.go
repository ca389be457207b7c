// Package deploy_test checks the files that run the example users in three replicas, as far as that goes without a cluster.
package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tiercache/tiercache/internal/need"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

// compose is what the tests need of compose.yaml.
type compose struct {
	Services map[string]struct {
		Image   string
		Command []string
		Ports   []string
		Volumes []string
		Build   struct{ Context, Dockerfile string }
		Deploy  struct{ Replicas int }
	}
}

// object is what the tests need of an object in kubernetes.yaml.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Replicas int
		Template struct {
			Spec struct {
				Containers []struct {
					Name, Image string
					Args        []string
				}
			}
		}
	}
}

func decode(t *testing.T, file string) *yaml.Decoder {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return yaml.NewDecoder(bytes.NewReader(b))
}

func readCompose(t *testing.T) (c compose) {
	t.Helper()
	if err := decode(t, "compose.yaml").Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// kubernetes returns the Deployments of kubernetes.yaml by their names.
func kubernetes(t *testing.T) map[string]object {
	t.Helper()
	deployments := make(map[string]object)
	for d := decode(t, "kubernetes.yaml"); ; {
		var o object
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return deployments
		}
		if err != nil || o.APIVersion == "" || o.Kind == "" || o.Metadata.Name == "" {
			t.Fatalf("%+v, %v", o, err)
		}
		if o.Kind == "Deployment" {
			deployments[o.Metadata.Name] = o
		}
	}
}

// Both ways run the same programs with the same arguments, in the same number of replicas.
func TestBothAgree(t *testing.T) {
	c, k := readCompose(t), kubernetes(t)
	for name, d := range k {
		s, container := c.Services[name], d.Spec.Template.Spec.Containers[0]
		if got, want := strings.Join(container.Args, " "), strings.TrimPrefix(strings.Join(s.Command, " "), "redis-server "); got != want {
			t.Errorf("%s has the arguments %q in kubernetes.yaml, and %q in compose.yaml", name, got, want)
		}
		if s.Image != "" && s.Image != container.Image {
			t.Errorf("%s has the image %q in kubernetes.yaml, and %q in compose.yaml", name, container.Image, s.Image)
		}
		if max(1, s.Deploy.Replicas) != d.Spec.Replicas {
			t.Errorf("%s has %d replicas in kubernetes.yaml, and %d in compose.yaml", name, d.Spec.Replicas, s.Deploy.Replicas)
		}
	}
}

// What compose.yaml mounts or builds from is in the repository.
func TestFilesExist(t *testing.T) {
	c := readCompose(t)
	users := c.Services["users"].Build
	files := []string{filepath.Join(users.Context, "go.work"), filepath.Join(users.Context, users.Dockerfile)}
	for _, s := range c.Services {
		for _, v := range s.Volumes {
			if host, _, _ := strings.Cut(v, ":"); strings.HasPrefix(host, ".") {
				files = append(files, host)
			}
		}
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			t.Errorf("%s: %v", file, err)
		}
	}
	if len(files) < 7 {
		t.Errorf("only %q", files)
	}
}

// Prometheus accepts its configuration, and asks the services at the port on which they listen.
func TestPrometheus(t *testing.T) {
	var config struct {
		ScrapeConfigs []struct {
			DNS []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := decode(t, "prometheus.yml").Decode(&config); err != nil {
		t.Fatal(err)
	}
	at := config.ScrapeConfigs[0].DNS[0]
	if s, ok := readCompose(t).Services[at.Names[0]]; !ok || !strings.Contains(strings.Join(s.Command, " "), fmt.Sprintf("-addr :%d ", at.Port)) {
		t.Errorf("Prometheus asks %v, and the services are %+v", at, s)
	}
	promtool := need.Program(t, "promtool")
	dir := t.TempDir()
	for from, to := range map[string]string{"prometheus.yml": "prometheus.yml", "../../adapters/promcache/alerts.yml": "tiercache.yml"} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(promtool, "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// start starts a service with the arguments of compose.yaml, but for its address and the folder of its data. It returns its URL.
func start(t *testing.T, program, data, redis string) string {
	t.Helper()
	var args []string
	for _, arg := range readCompose(t).Services["users"].Command {
		args = append(args, strings.Replace(strings.Replace(arg, ":8080", "localhost:0", 1), "/data", data, 1))
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), "REDIS_URL=redis://"+redis)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("users ended with %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url := regexp.MustCompile(`http://localhost:\d+`).FindString(lines.Text()); url != "" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return url
		}
	}
	t.Fatal("users doesn't say where it listens")
	return ""
}

// What is changed at one of three services is soon seen at the others, as compose.yaml promises, and each has metrics.
func TestThreeServices(t *testing.T) {
	program := filepath.Join(t.TempDir(), "users")
	if out, err := exec.Command("go", "build", "-o", program, "../users").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	redis, data := redistest.Start(t), t.TempDir()
	var urls []string
	for range 3 {
		urls = append(urls, start(t, program, data, redis.Addr()))
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	const path = "/api/v1/users/7"
	name := func(url string) string {
		var user struct{ Name string }
		if err := json.Unmarshal(send(t, http.MethodGet, url+path, ""), &user); err != nil {
			t.Fatal(err)
		}
		return user.Name
	}
	for _, url := range urls {
		if name(url) == "Grace" {
			t.Fatal("the change was made already")
		}
	}
	send(t, http.MethodPut, urls[1]+path, `{"name":"Grace","email":"grace@example.com","city":"Ghent"}`)
	for _, url := range urls {
		observe.Until(t, "the change is seen", func() bool { return name(url) == "Grace" })
		if m := send(t, http.MethodGet, url+"/metrics", ""); !bytes.Contains(m, []byte(`tiercache_redis_healthy{redis="redis"} 1`)) {
			t.Errorf("%s", m)
		}
	}
}

func send(t *testing.T, method, url, body string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s, %v", method, url, response.Status, b, err)
	}
	return b
}

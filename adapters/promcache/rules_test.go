package promcache_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"

	"github.com/tiercache/tiercache/adapters/promcache"
	"github.com/tiercache/tiercache/internal/need"
	"github.com/tiercache/tiercache/internal/redistest"
)

// promtool runs promtool, which must succeed.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(need.Program(t, "promtool"), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// The alerts fire and don't fire as alerts_test.yml says.
func TestAlerts(t *testing.T) {
	promtool(t, "check", "rules", "alerts.yml")
	promtool(t, "test", "rules", "alerts_test.yml")
}

// Prometheus can parse the queries of the dashboard.
func TestQueriesOfTheDashboard(t *testing.T) {
	type rule struct{ Record, Expr string }
	var rules []rule
	panels, _ := dashboard(t)
	for _, p := range panels {
		for _, target := range p.Targets {
			if p.Type != "variable" {
				rules = append(rules, rule{"a", strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")})
			}
		}
	}
	b, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// alerts reads the expressions of alerts.yml, and the names of the alerts that alerts_test.yml expects to fire and not to.
func alerts(t *testing.T) (expressions map[string]string, fires, rests map[string]bool) {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	var tests struct {
		Tests []struct {
			Alerts []struct {
				Name     string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	for name, to := range map[string]any{"alerts.yml": &rules, "alerts_test.yml": &tests} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(b, to); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	expressions, fires, rests = make(map[string]string), make(map[string]bool), make(map[string]bool)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			expressions[r.Alert] = r.Expr
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s doesn't say what is wrong, and why", r.Alert)
			}
		}
	}
	for _, test := range tests.Tests {
		for _, a := range test.Alerts {
			if len(a.Expected) > 0 {
				fires[a.Name] = true
			} else {
				rests[a.Name] = true
			}
		}
	}
	return expressions, fires, rests
}

// Each alert has a test in which it fires, and one in which it doesn't.
func TestEachAlertIsTested(t *testing.T) {
	expressions, fires, rests := alerts(t)
	if len(expressions) != 7 {
		t.Errorf("there are %d alerts", len(expressions))
	}
	for name := range expressions {
		if !fires[name] || !rests[name] {
			t.Errorf("%s: there is a test in which it fires: %v, and one in which it doesn't: %v", name, fires[name], rests[name])
		}
	}
}

// panel is a panel of the dashboard.
type panel struct {
	ID      int
	Title   string
	Type    string
	Targets []struct {
		Expr         string
		LegendFormat string
	}
	GridPos struct{ X, Y, W, H int }
}

func dashboard(t *testing.T) (panels []panel, variables []string) {
	t.Helper()
	b, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels     []panel
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		panels = append(panels, panel{Type: "variable", Targets: []struct{ Expr, LegendFormat string }{{Expr: v.Query}}})
	}
	return append(d.Panels, panels...), variables
}

var (
	metricName = regexp.MustCompile(`tiercache_[a-z_]+`)
	selector   = regexp.MustCompile(`(tiercache_[a-z_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`(?:by|on) \(([^)]*)\)`)
	variable   = regexp.MustCompile(`\$\{?([a-z_]+)`)
)

// exported returns the labels of each metric that a program with a cache and a Redis exports, by the names that queries use.
func exported(t *testing.T) map[string]map[string]bool {
	t.Helper()
	metrics := promcache.New()
	c := newCache(t, metrics, redistest.Start(t))
	inLoad := make(chan struct{})
	first := make(chan error)
	go func() {
		_, err := c.GetOrLoad(t.Context(), "k", gate(inLoad, func() bool { return c.Stats().Collapsed > 0 }))
		first <- err
	}()
	<-inLoad
	if _, err := c.GetOrLoad(t.Context(), "k", value("")); err != nil { // so that there is a wait
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	names := make(map[string]map[string]bool)
	for name, samples := range gather(t, metrics) {
		labels := map[string]bool{"job": true, "instance": true}
		for l := range samples[0].labels {
			labels[l] = true
		}
		if !strings.HasSuffix(name, "_seconds") {
			names[name] = labels
			continue
		}
		names[name+"_sum"], names[name+"_count"] = labels, labels
		names[name+"_bucket"] = maps.Clone(labels)
		names[name+"_bucket"]["le"] = true
	}
	return names
}

// What the dashboard and the alerts ask for is exported, with the labels that they ask for.
func TestQueriesAreOfWhatIsExported(t *testing.T) {
	names := exported(t)
	queries, _, _ := alerts(t)
	panels, variables := dashboard(t)
	used := make(map[string]bool)
	for _, p := range panels {
		for i, target := range p.Targets {
			queries[p.Title+" "+string(rune('A'+i))+p.Type] = target.Expr
		}
	}
	for where, expr := range queries {
		found := metricName.FindAllString(expr, -1)
		if len(found) == 0 {
			t.Errorf("%s asks for no metric of a cache: %s", where, expr)
		}
		labels := make(map[string]bool)
		for _, name := range found {
			used[name] = true
			if names[name] == nil {
				t.Errorf("%s asks for %s, which isn't exported", where, name)
			}
			maps.Copy(labels, names[name])
		}
		for _, s := range selector.FindAllStringSubmatch(expr, -1) {
			for _, l := range labelName.FindAllStringSubmatch(s[2], -1) {
				if !names[s[1]][l[1]] {
					t.Errorf("%s selects %s by %s, which it doesn't have", where, s[1], l[1])
				}
			}
		}
		for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
			for l := range strings.SplitSeq(g[1], ",") {
				if l = strings.TrimSpace(l); !labels[l] {
					t.Errorf("%s groups by %s, which none of its metrics has", where, l)
				}
			}
		}
		for _, v := range variable.FindAllStringSubmatch(expr, -1) {
			if !slices.Contains(append(variables, "__rate_interval"), v[1]) && !strings.HasPrefix(v[1], "__") {
				t.Errorf("%s uses $%s, which the dashboard hasn't", where, v[1])
			}
		}
	}
	for name := range names { // what an operator looks for first is on the dashboard
		if strings.HasSuffix(name, "_bucket") && !used[name] {
			t.Errorf("no query uses %s", name)
		}
	}
}

// The dashboard has what its documentation says, in panels that don't overlap.
func TestDashboard(t *testing.T) {
	panels, _ := dashboard(t)
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, p := range panels {
		if p.Type == "variable" || p.Type == "row" {
			continue
		}
		if p.Title == "" || len(p.Targets) == 0 || ids[p.ID] {
			t.Errorf("a panel has no title, no query, or the ID of another: %+v", p)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if at[0] >= 24 || taken[at] != "" {
					t.Fatalf("%q is outside, or over %q", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
	}
	for _, title := range []string{"Hit ratio by tier", "Loads", "Load duration", "Redis call duration", "Loads running and waiting", "Breakers open", "Loads shed"} {
		if !slices.ContainsFunc(panels, func(p panel) bool { return p.Title == title }) {
			t.Errorf("there is no panel %q", title)
		}
	}
}

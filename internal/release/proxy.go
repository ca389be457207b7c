package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// writeProxy writes a version of the published modules, as their tags have it, to a folder that the go command takes as a
// module proxy (https://go.dev/ref/mod#goproxy-protocol).
func writeProxy(repo repository, version, folder string) error {
	modules, err := repo.published()
	if err != nil {
		return err
	}
	for _, m := range modules {
		if err := writeModule(repo, m, version, folder); err != nil {
			return fmt.Errorf("%s: %w", m.path(), err)
		}
	}
	return nil
}

func writeModule(repo repository, m workModule, version, folder string) error {
	escaped, err := module.EscapePath(m.path())
	if err != nil {
		return err
	}
	versions := filepath.Join(folder, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, time.Now().UTC()})
	if err != nil {
		return err
	}
	tagged, err := repo.git("show", m.tag(version)+":"+m.mod.Syntax.Name)
	if err != nil {
		return err
	}
	for name, data := range map[string]string{
		"list":            version + "\n",
		version + ".info": string(info),
		version + ".mod":  tagged + "\n",
	} {
		if err := os.WriteFile(filepath.Join(versions, name), []byte(data), 0o644); err != nil {
			return err
		}
	}
	return writeZip(repo, m, version, filepath.Join(versions, version+".zip"))
}

func writeZip(repo repository, m workModule, version, name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closing := f.Close(); err == nil {
			err = closing
		}
	}()
	dir := m.dir
	if dir == "." {
		dir = ""
	}
	return zip.CreateFromVCS(f, module.Version{Path: m.path(), Version: version}, string(repo), m.tag(version), dir)
}

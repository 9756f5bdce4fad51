package config

import (
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// tools are the variables of the house that are no settings of a daemon: those
// of make, of the private services and of the tests. A name that ends in _ is
// the beginning of several.
var tools = []string{
	"SIFILMA_RUN_DIR", "SIFILMA_PORT_BASE", "SIFILMA_LOCAL_SERVICE", "SIFILMA_TEST_RUN", "SIFILMA_SEED",
	"SIFILMA_BENCH", "SIFILMA_BENCH_", "SIFILMA_CRASH_",
}

// CheckEnviron finds variables that begin with EnvPrefix and that nobody would
// read: a setting with a typing error would silently not count. environ is as of
// os.Environ; dst is the program's configuration. examples holds the *.yaml of all
// programs of the house: those that run on one machine can share an environment,
// and what is another one's setting is left to it.
func CheckEnviron(environ []string, dst any, examples fs.FS) error {
	own := keys(reflect.ValueOf(dst).Elem(), nil)
	others, err := settings(examples)
	if err != nil {
		return err
	}
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, EnvPrefix) || slices.Contains(own, name) || slices.Contains(others, name) {
			continue
		}
		if slices.ContainsFunc(tools, func(t string) bool {
			return name == t || strings.HasSuffix(t, "_") && strings.HasPrefix(name, t)
		}) {
			continue
		}
		return fmt.Errorf("config: environment variable %s is no setting; did you mean %s?", name, nearest(name, own))
	}
	return nil
}

// Strangers is an environment without the settings of the house, for a program that is
// somebody else's: passwords may be among them.
func Strangers(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(pair string) bool { return strings.HasPrefix(pair, EnvPrefix) })
}

// keys are the variables of all leaf keys of a configuration.
func keys(v reflect.Value, at []string) []string {
	var names []string
	_ = fields(v, func(key string, field reflect.Value) error { // f returns no error
		at := append(at[:len(at):len(at)], key)
		if isSection(field) {
			names = append(names, keys(field, at)...)
		} else {
			names = append(names, EnvName(at...))
		}
		return nil
	})
	return names
}

// settings are the variables of all keys in the examples.
func settings(examples fs.FS) ([]string, error) {
	files, err := fs.Glob(examples, "*.yaml")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		text, err := fs.ReadFile(examples, file)
		if err != nil {
			return nil, err
		}
		var document map[string]any
		if err := yaml.Unmarshal(text, &document); err != nil {
			return nil, fmt.Errorf("config: %s: %w", path.Base(file), err)
		}
		names = append(names, leaves(document, nil)...)
	}
	return names, nil
}

func leaves(document map[string]any, at []string) []string {
	var names []string
	for key, value := range document {
		at := append(at[:len(at):len(at)], key)
		names = append(names, EnvName(at...))
		if section, ok := value.(map[string]any); ok {
			names = append(names, leaves(section, at)...)
		}
	}
	return names
}

// nearest is the name that takes the fewest edits to come to.
func nearest(name string, names []string) string {
	best, distance := "", len(name)+1
	for _, n := range names {
		if d := edits(name, n); d < distance || best == "" {
			best, distance = n, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

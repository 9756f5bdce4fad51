package fleet

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"

	"dukcapil.go.id/sifilma/configs"
)

// Values are configuration keys and what this machine sets them to; a nested
// map goes into the section of that name.
type Values map[string]any

// WriteConfig writes a daemon's shipped configuration, with the values of this
// machine in it, and returns the path of the file, which has the name of the
// daemon's instance.
func WriteConfig(dir, daemon, instance string, values Values) (string, error) {
	shipped, err := configs.Files.ReadFile(daemon + ".yaml")
	if err != nil {
		return "", fmt.Errorf("fleet: configuration of %s: %w", daemon, err)
	}
	tree := map[string]any{}
	if err := yaml.Unmarshal(shipped, &tree); err != nil {
		return "", fmt.Errorf("fleet: configuration of %s: %w", daemon, err)
	}
	overlay(tree, values)
	body, err := yaml.Marshal(tree)
	if err != nil {
		return "", fmt.Errorf("fleet: configuration of %s: %w", daemon, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o750); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "etc", instance+".yaml")
	return path, os.WriteFile(path, body, 0o600)
}

func overlay(tree map[string]any, values Values) {
	for k, v := range maps.All(values) {
		section, isSection := v.(Values)
		have, has := tree[k].(map[string]any)
		if isSection && has {
			overlay(have, section)
			continue
		}
		tree[k] = v
	}
}

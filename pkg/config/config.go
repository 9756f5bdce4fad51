// Package config reads the configuration of a daemon: a strict YAML file over the
// program's defaults, then environment variables over the file, then checks.
//
// A key the program does not know is an error that names the key and its line. Every
// leaf key can be given as an environment variable: SIFILMA_ and the path of the key
// in upper case, so http.addr is SIFILMA_HTTP_ADDR. Secrets are never values: a key
// that ends in _file names a file, and its user reads it with Secret.
package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// EnvPrefix starts the name of every environment variable of the house.
const EnvPrefix = "SIFILMA_"

// Validator is a configuration, or a section of one, that checks itself. The error
// names the key inside the section.
type Validator interface{ Validate() error }

// Load fills dst, a pointer to a struct that holds the defaults, from the YAML file
// at path (none when path is empty) and the environment, and validates it and its
// sections from the inside out.
func Load(path string, dst any) error {
	return load(path, dst, os.LookupEnv)
}

func load(path string, dst any, lookup func(string) (string, bool)) error {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("config: destination is %T, not a pointer to a struct", dst)
	}
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
		if err := decode(b, dst); err != nil {
			return fmt.Errorf("config: %s: %w", path, err)
		}
	}
	if err := fromEnv(v.Elem(), nil, lookup); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := validate(v.Elem(), nil); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

// decode reads one strict YAML document; an empty one changes nothing.
func decode(b []byte, dst any) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(dst); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return plain(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("holds more than one YAML document")
	}
	return nil
}

var unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)

// plain turns yaml's errors, which speak of Go types, into errors about keys.
func plain(err error) error {
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		return err
	}
	var lines []string
	for _, line := range te.Errors {
		lines = append(lines, unknownField.ReplaceAllString(line, `unknown key "$1"`))
	}
	return errors.New(strings.Join(lines, "; "))
}

// fields calls f for every key of the struct v, seeing through inlined structs.
func fields(v reflect.Value, f func(key string, field reflect.Value) error) error {
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if !sf.IsExported() {
			continue
		}
		key, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if key == "-" {
			continue
		}
		if strings.Contains(opts, "inline") {
			if v.Field(i).Kind() == reflect.Struct {
				if err := fields(v.Field(i), f); err != nil {
					return err
				}
			}
			continue
		}
		if key == "" {
			key = strings.ToLower(sf.Name) // as yaml does
		}
		if err := f(key, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func isSection(v reflect.Value) bool {
	if v.Kind() != reflect.Struct {
		return false
	}
	_, text := v.Addr().Interface().(encoding.TextUnmarshaler)
	_, node := v.Addr().Interface().(yaml.Unmarshaler)
	return !text && !node
}

func fromEnv(v reflect.Value, path []string, lookup func(string) (string, bool)) error {
	return fields(v, func(key string, field reflect.Value) error {
		path := append(path[:len(path):len(path)], key)
		if isSection(field) {
			return fromEnv(field, path, lookup)
		}
		name := EnvName(path...)
		text, ok := lookup(name)
		if !ok {
			return nil
		}
		if err := set(field, text); err != nil {
			return fmt.Errorf("environment variable %s: %s is not usable as %s", name, key, field.Type())
		}
		return nil
	})
}

// EnvName returns the environment variable of the key with that path.
func EnvName(path ...string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(strings.Join(path, "_"), "-", "_"))
}

// set reads text as the YAML value of the field; a plain string is taken as it is,
// and a list may be written a,b,c.
func set(field reflect.Value, text string) error {
	if field.Kind() == reflect.String {
		field.SetString(text)
		return nil
	}
	if field.Kind() == reflect.Slice && !strings.HasPrefix(strings.TrimSpace(text), "[") {
		text = "[" + text + "]"
	}
	fresh := reflect.New(field.Type())
	if err := yaml.Unmarshal([]byte(text), fresh.Interface()); err != nil {
		return err
	}
	field.Set(fresh.Elem())
	return nil
}

// validate asks sections before the whole, and names the path of the key.
func validate(v reflect.Value, path []string) error {
	err := fields(v, func(key string, field reflect.Value) error {
		if isSection(field) {
			return validate(field, append(path[:len(path):len(path)], key))
		}
		return nil
	})
	if err != nil {
		return err
	}
	check, ok := v.Addr().Interface().(Validator)
	if !ok {
		return nil
	}
	if err := check.Validate(); err != nil {
		if len(path) == 0 {
			return err
		}
		return fmt.Errorf("%s: %w", strings.Join(path, "."), err)
	}
	return nil
}

// CheckFiles checks that each file that a key ending in _file names holds a
// secret, so that a wrong path is found before it is needed. dst is as for Load.
func CheckFiles(dst any) error {
	if err := readable(reflect.ValueOf(dst).Elem(), nil); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

func readable(v reflect.Value, path []string) error {
	return fields(v, func(key string, field reflect.Value) error {
		path := append(path[:len(path):len(path)], key)
		if isSection(field) {
			return readable(field, path)
		}
		if !strings.HasSuffix(key, "_file") || field.Kind() != reflect.String || field.String() == "" {
			return nil
		}
		if _, err := Secret(field.String()); err != nil {
			return fmt.Errorf("%s: %s", strings.Join(path, "."), strings.TrimPrefix(err.Error(), "config: "))
		}
		return nil
	})
}

// Secret reads the secret in the file a *_file key names, without the line end. An
// empty file is an error. Errors name the file, never its content.
func Secret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("config: secret file: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("config: secret file %s is empty", path)
	}
	return s, nil
}

package recipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Difference is a place where two contents are not the same. The values are JSON;
// empty where there is none.
type Difference struct {
	Pointer string `json:"pointer"`
	Before  string `json:"before"`
	After   string `json:"after"`
}

// Differences compares two contents, by place. The version itself is not told.
func Differences(before, after []byte) ([]Difference, error) {
	was, err := flat(before)
	if err != nil {
		return nil, err
	}
	is, err := flat(after)
	if err != nil {
		return nil, err
	}
	places := map[string]bool{}
	for p := range was {
		places[p] = true
	}
	for p := range is {
		places[p] = true
	}
	delete(places, "/version")
	all := []Difference{}
	for _, p := range slices.Sorted(maps.Keys(places)) {
		if was[p] != is[p] {
			all = append(all, Difference{Pointer: p, Before: was[p], After: is[p]})
		}
	}
	return all, nil
}

// flat is every single value of a content, by place; an empty list or object is one.
func flat(content []byte) (map[string]string, error) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("recipe: reading a content: %w", err)
	}
	out := map[string]string{}
	return out, spread(out, "", v)
}

func spread(out map[string]string, at string, v any) error {
	switch t := v.(type) {
	case map[string]any:
		for name, inside := range t {
			if err := spread(out, at+"/"+escape(name), inside); err != nil {
				return err
			}
		}
		if len(t) > 0 {
			return nil
		}
	case []any:
		for i, inside := range t {
			if err := spread(out, at+"/"+strconv.Itoa(i), inside); err != nil {
				return err
			}
		}
		if len(t) > 0 {
			return nil
		}
	}
	text, err := json.Marshal(v)
	out[at] = string(text)
	return err
}

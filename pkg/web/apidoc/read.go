package apidoc

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// ordered is a mapping in the order of the file, which is the order of the page.
type ordered[T any] []entry[T]

type entry[T any] struct {
	Key   string
	Value T
}

// UnmarshalYAML reads a mapping.
func (o *ordered[T]) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a mapping is expected", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := entry[T]{Key: n.Content[i].Value}
		if err := n.Content[i+1].Decode(&e.Value); err != nil {
			return fmt.Errorf("line %d: %s: %w", n.Content[i].Line, e.Key, err)
		}
		*o = append(*o, e)
	}
	return nil
}

func (o ordered[T]) get(key string) (T, bool) {
	i := slices.IndexFunc(o, func(e entry[T]) bool { return e.Key == key })
	if i < 0 {
		var none T
		return none, false
	}
	return o[i].Value, true
}

// document is what the page shows of an OpenAPI document.
type document struct {
	OpenAPI string `yaml:"openapi"`
	Info    struct {
		Title       string `yaml:"title"`
		Version     string `yaml:"version"`
		Summary     string `yaml:"summary"`
		Description string `yaml:"description"`
	} `yaml:"info"`
	Servers []struct {
		URL         string `yaml:"url"`
		Description string `yaml:"description"`
		Variables   ordered[struct {
			Default string `yaml:"default"`
		}] `yaml:"variables"`
	} `yaml:"servers"`
	Guide []struct {
		Title     string `yaml:"title"`
		Text      string `yaml:"text"`
		Code      string `yaml:"code"`
		Operation string `yaml:"operation"`
	} `yaml:"x-guide"`
	Tags []struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description"`
	} `yaml:"tags"`
	Paths      ordered[pathItem] `yaml:"paths"`
	Components struct {
		SecuritySchemes ordered[struct {
			Type        string `yaml:"type"`
			Description string `yaml:"description"`
		}] `yaml:"securitySchemes"`
		Parameters    ordered[parameter] `yaml:"parameters"`
		Headers       ordered[header]    `yaml:"headers"`
		RequestBodies ordered[body]      `yaml:"requestBodies"`
		Responses     ordered[body]      `yaml:"responses"`
		Schemas       ordered[*schema]   `yaml:"schemas"`
	} `yaml:"components"`
	Problems ordered[struct {
		Status  int    `yaml:"status"`
		Meaning string `yaml:"meaning"`
		Remedy  string `yaml:"remedy"`
	}] `yaml:"x-problems"`
	FieldCodes ordered[string] `yaml:"x-field-codes"`
}

type pathItem struct {
	Parameters []parameter `yaml:"parameters"`
	Get        *operation  `yaml:"get"`
	Put        *operation  `yaml:"put"`
	Post       *operation  `yaml:"post"`
	Patch      *operation  `yaml:"patch"`
	Delete     *operation  `yaml:"delete"`
}

// operations are those of an address, by method.
func (p pathItem) operations() []entry[*operation] {
	all := []entry[*operation]{{"GET", p.Get}, {"POST", p.Post}, {"PUT", p.Put}, {"PATCH", p.Patch}, {"DELETE", p.Delete}}
	return slices.DeleteFunc(all, func(e entry[*operation]) bool { return e.Value == nil })
}

type operation struct {
	ID          string              `yaml:"operationId"`
	ServedBy    []string            `yaml:"x-served-by"`
	Tags        []string            `yaml:"tags"`
	Summary     string              `yaml:"summary"`
	Description string              `yaml:"description"`
	Security    []ordered[[]string] `yaml:"security"`
	Parameters  []parameter         `yaml:"parameters"`
	Body        *body               `yaml:"requestBody"`
	Problems    []string            `yaml:"x-problems"`
	Responses   ordered[body]       `yaml:"responses"`
}

type parameter struct {
	Ref         string  `yaml:"$ref"`
	Name        string  `yaml:"name"`
	In          string  `yaml:"in"`
	Required    bool    `yaml:"required"`
	Description string  `yaml:"description"`
	Schema      *schema `yaml:"schema"`
}

type header struct {
	Ref         string `yaml:"$ref"`
	Required    bool   `yaml:"required"`
	Description string `yaml:"description"`
}

// body is a request body or a response.
type body struct {
	Ref         string             `yaml:"$ref"`
	Required    bool               `yaml:"required"`
	Description string             `yaml:"description"`
	Problems    []string           `yaml:"x-problems"`
	Headers     ordered[header]    `yaml:"headers"`
	Content     ordered[mediaType] `yaml:"content"`
}

type mediaType struct {
	Schema   *schema   `yaml:"schema"`
	Example  yaml.Node `yaml:"example"`
	Examples ordered[struct {
		Summary string    `yaml:"summary"`
		Value   yaml.Node `yaml:"value"`
	}] `yaml:"examples"`
	Encoding ordered[struct {
		ContentType string `yaml:"contentType"`
	}] `yaml:"encoding"`
}

type schema struct {
	Ref         string            `yaml:"$ref"`
	Type        words             `yaml:"type"`
	Format      string            `yaml:"format"`
	Media       string            `yaml:"contentMediaType"`
	Description string            `yaml:"description"`
	Enum        []any             `yaml:"enum"`
	Const       any               `yaml:"const"`
	Labels      map[string]string `yaml:"x-labels"`
	Minimum     *int64            `yaml:"minimum"`
	Maximum     *int64            `yaml:"maximum"`
	MinLength   *int64            `yaml:"minLength"`
	MaxLength   *int64            `yaml:"maxLength"`
	MinItems    *int64            `yaml:"minItems"`
	MaxItems    *int64            `yaml:"maxItems"`
	Default     any               `yaml:"default"`
	Items       *schema           `yaml:"items"`
	OneOf       []*schema         `yaml:"oneOf"`
	AnyOf       []*schema         `yaml:"anyOf"`
	Required    []string          `yaml:"required"`
	Properties  ordered[*schema]  `yaml:"properties"`
	Example     yaml.Node         `yaml:"example"`
}

// words is one word or several.
type words []string

// UnmarshalYAML reads a scalar or a list.
func (w *words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*w = words{n.Value}
		return nil
	}
	return n.Decode((*[]string)(w))
}

func readDocument(text []byte) (*document, error) {
	d := &document{}
	if err := yaml.Unmarshal(text, d); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		return nil, fmt.Errorf("openapi %q is not 3.1", d.OpenAPI)
	}
	for i := range d.Paths {
		p := &d.Paths[i].Value
		for _, e := range p.operations() {
			if err := d.resolve(e.Value, p.Parameters); err != nil {
				return nil, fmt.Errorf("%s %s: %w", e.Key, d.Paths[i].Key, err)
			}
		}
	}
	return d, nil
}

// resolve puts what an operation refers to in its place; schemas stay
// references, as links.
func (d *document) resolve(o *operation, shared []parameter) error {
	o.Parameters = slices.Concat(shared, o.Parameters)
	for i := range o.Parameters {
		p := &o.Parameters[i]
		if err := follow(d.Components.Parameters, p.Ref, p); err != nil {
			return err
		}
	}
	if o.Body != nil {
		if err := follow(d.Components.RequestBodies, o.Body.Ref, o.Body); err != nil {
			return err
		}
	}
	for i := range o.Responses {
		r := &o.Responses[i].Value
		if err := follow(d.Components.Responses, r.Ref, r); err != nil {
			return err
		}
		r.Headers = slices.Clone(r.Headers)
		for j := range r.Headers {
			h := &r.Headers[j].Value
			if err := follow(d.Components.Headers, h.Ref, h); err != nil {
				return err
			}
		}
	}
	for _, code := range o.Problems {
		if _, ok := d.Problems.get(code); !ok {
			return fmt.Errorf("problem %q has no entry", code)
		}
	}
	return nil
}

// follow replaces what has a reference by what it refers to.
func follow[T any](in ordered[T], ref string, at *T) error {
	if ref == "" {
		return nil
	}
	found, ok := in.get(nameOf(ref))
	if !ok {
		return fmt.Errorf("%s leads nowhere", ref)
	}
	*at = found
	return nil
}

// nameOf is the component that a reference names.
func nameOf(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

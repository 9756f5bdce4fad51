package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
)

// keptOfPart is how much of a part is kept to be looked at; of files only the
// size counts.
const keptOfPart = 300 << 10

// parts are those of a form, read while it passed.
type parts struct {
	list []seenPart
	err  error
}

type seenPart struct {
	name string
	size int64
	head []byte
}

// readParts reads a form to its end and keeps little of it.
func readParts(body io.Reader, boundary string) *parts {
	all := &parts{}
	form := multipart.NewReader(body, boundary)
	for {
		p, err := form.NextRawPart()
		if err == io.EOF { //nolint:errorlint // wrapped, it says that the body ended before its last boundary
			return all
		}
		if err != nil {
			all.err = err
			return all
		}
		one := seenPart{name: p.FormName()}
		one.head, err = io.ReadAll(io.LimitReader(p, keptOfPart))
		if err == nil {
			one.size, err = io.Copy(io.Discard, p)
		}
		if err != nil {
			all.err = err
			return all
		}
		one.size += int64(len(one.head))
		all.list = append(all.list, one)
	}
}

// boundaryOf is the boundary of a form; empty when the request is none.
func boundaryOf(h http.Header) string {
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" {
		return ""
	}
	return params["boundary"]
}

// check holds the parts of a form that was taken to its schema: their names, how
// often each comes, the size of files, the content of the rest.
func (p *parts) check(media *openapi3.MediaType) error {
	switch {
	case media == nil:
		return errors.New("the operation takes no form")
	case p.err != nil:
		return fmt.Errorf("a form was taken that cannot be read: %w", p.err)
	}
	either := media.Schema.Value.OneOf // of two daemons that take different forms
	if len(either) == 0 {
		return p.fit(media.Schema.Value)
	}
	var errs []error
	for _, form := range either {
		err := p.fit(form.Value)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (p *parts) fit(form *openapi3.Schema) error {
	times := map[string]int{}
	for _, one := range p.list {
		ref := form.Properties[one.name]
		if ref == nil {
			return fmt.Errorf("part %q is not described", one.name)
		}
		times[one.name]++
		what := ref.Value
		if what.Type.Is(openapi3.TypeArray) {
			if what.MaxItems != nil && times[one.name] > int(*what.MaxItems) {
				return fmt.Errorf("part %q comes %d times", one.name, times[one.name])
			}
			what = what.Items.Value
		} else if times[one.name] > 1 {
			return fmt.Errorf("part %q comes twice", one.name)
		}
		if err := one.check(what); err != nil {
			return fmt.Errorf("part %q: %w", one.name, err)
		}
	}
	for _, name := range form.Required {
		if times[name] == 0 {
			return fmt.Errorf("part %q is required", name)
		}
	}
	return nil
}

func (s seenPart) check(what *openapi3.Schema) error {
	if what.ContentMediaType != "" { // a file
		if what.MaxLength != nil && s.size > int64(*what.MaxLength) {
			return fmt.Errorf("%d bytes are more than %d", s.size, *what.MaxLength)
		}
		return nil
	}
	var value any = string(s.head)
	if what.Type.Is(openapi3.TypeObject) {
		if err := json.Unmarshal(s.head, &value); err != nil {
			return err
		}
	}
	return what.VisitJSON(value, openapi3.EnableJSONSchema2020(), openapi3.VisitAsRequest())
}

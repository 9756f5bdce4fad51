// Package contract holds handlers to schema/openapi.yaml while their own tests
// run: every answer must be one that the file describes, and so must every
// request that was taken (2xx). A test may send what is wrong; the handler may
// not answer what is not written down: a status, a problem code, a field, a
// header.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"dukcapil.go.id/sifilma/schema"
)

// ProblemPrefix stands before the code in the type of a problem.
const ProblemPrefix = "urn:sifilma:problem:"

const problemMedia = "application/problem+json"

// Document is the file, read.
type Document struct {
	*openapi3.T
	// Problems are the statuses of the problem codes.
	Problems map[string]int
	// FieldCodes are the codes of errors[] in a problem.
	FieldCodes map[string]string

	router routers.Router
}

// Load reads the embedded file, once.
var Load = sync.OnceValues(func() (*Document, error) { return Read(schema.OpenAPI()) })

// Read reads a document and checks that it is a valid OpenAPI 3.1 document whose
// examples fit.
func Read(text []byte) (*Document, error) {
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	if !doc.IsOpenAPI31OrLater() {
		return nil, fmt.Errorf("openapi %s is not 3.1", doc.OpenAPI)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	d := &Document{T: doc, Problems: map[string]int{}}
	var problems map[string]struct {
		Status int `json:"status"`
	}
	if err := extension(doc.Extensions, "x-problems", &problems); err != nil {
		return nil, err
	}
	for code, p := range problems {
		d.Problems[code] = p.Status
	}
	if err := extension(doc.Extensions, "x-field-codes", &d.FieldCodes); err != nil {
		return nil, err
	}
	doc.Servers = nil // the path alone finds the operation, wherever a test serves it
	d.router, err = gorillamux.NewRouter(doc)
	return d, err
}

// extension reads a key that begins with x-; one that is absent leaves out alone.
func extension(all map[string]any, key string, out any) error {
	text, err := json.Marshal(all[key])
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// Words reads an extension that is a list of words.
func Words(all map[string]any, key string) []string {
	var words []string
	if err := extension(all, key, &words); err != nil {
		panic(err) // the document says something else than a list there
	}
	return words
}

// serves says whether a daemon has an operation.
func serves(daemon string, o *openapi3.Operation) bool {
	by := Words(o.Extensions, "x-served-by")
	return slices.Contains(by, daemon) || slices.Contains(by, "every")
}

// described says whether an address belongs to the API; others are pages.
func described(path string) bool {
	switch path {
	case "/api", "/livez", "/readyz", "/metrics":
		return true
	}
	return strings.HasPrefix(path, "/api/")
}

// exchange is a request and its answer.
type exchange struct {
	request *http.Request
	// body is the request's body, or empty when it is a form, whose parts were
	// read while it passed.
	body   []byte
	parts  *parts
	status int
	header http.Header
	answer []byte
}

// check says in what an exchange with a daemon differs from the document.
func (d *Document) check(daemon string, x exchange) error {
	if !described(x.request.URL.Path) {
		return nil
	}
	route, params, err := d.router.FindRoute(x.request)
	if err != nil || !serves(daemon, route.Operation) {
		route, params = d.nowhere(), nil // the answer of an address or method that is none
	}
	options := &openapi3filter.Options{MultiError: true, IncludeResponseStatus: true, AuthenticationFunc: presented}
	options.WithCustomSchemaErrorFunc(func(err *openapi3.SchemaError) string {
		return "at /" + strings.Join(err.JSONPointer(), "/") + ": " + err.Reason
	})
	input := &openapi3filter.RequestValidationInput{Request: x.request, PathParams: params, Route: route, Options: options}
	errs := []error{d.checkAnswer(input, x)}
	// An operation with x-judges-body answers 200 to wrong bodies too: with what is
	// wrong.
	_, judges := route.Operation.Extensions["x-judges-body"]
	if x.status < 300 && route.PathItem != nil && !judges {
		errs = append(errs, d.checkRequest(input, x))
	}
	return errors.Join(errs...)
}

// nowhere is what any address may answer that is not described.
func (d *Document) nowhere() *routers.Route {
	responses := openapi3.NewResponses()
	for status, name := range map[string]string{"404": "NotFound", "405": "MethodNotAllowed", "503": "Unavailable"} {
		responses.Set(status, d.Components.Responses[name])
	}
	responses.Delete("default")
	return &routers.Route{Spec: d.T, Operation: &openapi3.Operation{Responses: responses}}
}

// watched are headers that mean something to a client: those sent must be
// described.
var watched = []string{"Allow", "Etag", "Idempotency-Replayed", "Link", "Location", "Retry-After", "Set-Cookie", "Www-Authenticate"}

func (d *Document) checkAnswer(input *openapi3filter.RequestValidationInput, x exchange) error {
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: x.status, Header: x.header, Options: input.Options,
		Body: io.NopCloser(bytes.NewReader(x.answer)),
	}
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
		return err
	}
	ref := input.Route.Operation.Responses.Status(x.status)
	if ref == nil {
		return fmt.Errorf("status %d is not described", x.status)
	}
	for _, name := range watched {
		known := false
		for written := range ref.Value.Headers {
			known = known || http.CanonicalHeaderKey(written) == name
		}
		if x.header.Get(name) != "" && !known {
			return fmt.Errorf("header %s of status %d is not described", name, x.status)
		}
	}
	if len(ref.Value.Content) == 0 && len(x.answer) > 0 {
		return fmt.Errorf("status %d has a body that is not described", x.status)
	}
	mediaType, _, _ := mime.ParseMediaType(x.header.Get("Content-Type"))
	if x.status < 400 || ref.Value.Content.Get(problemMedia) == nil {
		return nil
	}
	if mediaType != problemMedia {
		return fmt.Errorf("status %d is answered as %q, not as a problem", x.status, mediaType)
	}
	return d.checkProblem(input.Route.Operation, ref.Value, x)
}

// checkProblem wants the code to be one that the operation may answer with this
// status.
func (d *Document) checkProblem(o *openapi3.Operation, response *openapi3.Response, x exchange) error {
	var p struct {
		Type   string
		Status int
		Errors []struct{ Pointer, Code string }
	}
	if err := json.Unmarshal(x.answer, &p); err != nil {
		return err
	}
	code := strings.TrimPrefix(p.Type, ProblemPrefix)
	switch {
	case p.Status != x.status:
		return fmt.Errorf("the problem says status %d and the answer %d", p.Status, x.status)
	case d.Problems[code] != x.status:
		return fmt.Errorf("problem code %q with status %d is not in x-problems", code, x.status)
	case !slices.Contains(d.CodesOf(o, response), code):
		return fmt.Errorf("problem code %q is not in the x-problems of operation %s", code, o.OperationID)
	}
	for _, e := range p.Errors {
		if d.FieldCodes[e.Code] == "" {
			return fmt.Errorf("code %q at %s is not in x-field-codes", e.Code, e.Pointer)
		}
	}
	return nil
}

// CodesOf are the problem codes that an operation may put into one of its
// responses.
func (d *Document) CodesOf(o *openapi3.Operation, response *openapi3.Response) []string {
	return append(Words(response.Extensions, "x-problems"), Words(o.Extensions, "x-problems")...)
}

// checkRequest wants a request that was taken to be as described.
func (d *Document) checkRequest(input *openapi3filter.RequestValidationInput, x exchange) error {
	o := input.Route.Operation
	for name := range x.request.URL.Query() {
		known := slices.ContainsFunc(slices.Concat(o.Parameters, input.Route.PathItem.Parameters), func(p *openapi3.ParameterRef) bool {
			return p.Value.In == openapi3.ParameterInQuery && p.Value.Name == name
		})
		if !known {
			return fmt.Errorf("query parameter %q is not described", name)
		}
	}
	// A body that came without a media type is none, whatever its reader.
	hasBody := x.request.Header.Get("Content-Type") != "" || len(x.body) > 0
	input.Options.ExcludeRequestBody = x.parts != nil || !hasBody
	input.Request = x.request.Clone(context.Background())
	input.Request.Body = io.NopCloser(bytes.NewReader(x.body))
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		return err
	}
	switch {
	case o.RequestBody == nil && (hasBody || x.parts != nil):
		return errors.New("the operation has no request body")
	case o.RequestBody == nil:
		return nil
	case !hasBody && x.parts == nil && o.RequestBody.Value.Required:
		return errors.New("the request body is required")
	case x.parts != nil:
		return x.parts.check(o.RequestBody.Value.Content.Get("multipart/form-data"))
	}
	return nil
}

// presented looks whether a request carries what a security scheme wants.
func presented(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	r := in.RequestValidationInput.Request
	switch s := in.SecurityScheme; {
	case s.Scheme == "bearer" && strings.HasPrefix(strings.ToLower(r.Header.Get("Authorization")), "bearer "):
		return nil
	case s.In == "cookie":
		for _, prefix := range []string{"", "__Host-"} { // over HTTPS the cookie is bound to its host
			if _, err := r.Cookie(prefix + s.Name); err == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("%s was not presented", in.SecuritySchemeName)
}

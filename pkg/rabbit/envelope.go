package rabbit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/schema"
)

// Event is a message: CloudEvents 1.0 in structured JSON, whose data holds the
// version, the request and Data side by side.
type Event struct {
	ID          string // id of the outbox row; the same when published again
	Type        string // also the routing key
	Subject     string // id of the row to look at
	Request     string // id of the request concerned, or empty
	TraceParent string // W3C traceparent, a header, or empty
	Version     int64  // version of the row after the change
	Data        map[string]any
	Time        time.Time // when the change was made
	Redelivered bool      // set on delivery; its absence proves nothing
}

const (
	mediaType     = "application/cloudevents+json"
	dataMediaType = "application/json"
	sourcePrefix  = "/sifilma/"
	schemaBase    = "https://sifilma.dukcapil.go.id/schema/messages/"
)

type envelope struct {
	SpecVersion     string         `json:"specversion"`
	ID              string         `json:"id"`
	Source          string         `json:"source"`
	Type            string         `json:"type"`
	Subject         string         `json:"subject"`
	Time            time.Time      `json:"time"`
	DataContentType string         `json:"datacontenttype"`
	Data            map[string]any `json:"data"`
}

// Encode returns the event's envelope as published by the named daemon.
func (e Event) Encode(source string) ([]byte, error) {
	if e.plain() && isSource(source) {
		return e.appendDoorbell(make([]byte, 0, doorbellSize), source), nil
	}
	return e.encode(source)
}

func (e Event) encode(source string) ([]byte, error) {
	data := make(map[string]any, len(e.Data)+2)
	maps.Copy(data, e.Data)
	for _, reserved := range []string{"version", "request"} {
		if _, taken := data[reserved]; taken {
			return nil, fmt.Errorf("rabbit: data of %s may not hold %q", e.Type, reserved)
		}
	}
	data["version"] = e.Version
	if e.Request != "" {
		data["request"] = e.Request
	}
	return json.Marshal(envelope{
		SpecVersion: "1.0", ID: e.ID, Source: sourcePrefix + source, Type: e.Type, Subject: e.Subject,
		Time: e.Time.UTC(), DataContentType: dataMediaType, Data: data,
	})
}

// Validate checks the event against the JSON Schema of its type, as a consumer
// will.
func (e Event) Validate() error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.plain() {
		return nil
	}
	body, err := e.Encode("check")
	if err != nil {
		return err
	}
	_, err = decode(e.Type, body)
	return err
}

// decode reads an envelope and checks it against the schema of its type, which
// must be the routing key.
func decode(key string, body []byte) (Event, error) {
	if e, ok := readDoorbell(key, body); ok {
		return e, nil
	}
	return decodeAny(key, body)
}

func decodeAny(key string, body []byte) (Event, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return Event{}, fmt.Errorf("not a JSON document: %w", err)
	}
	rule, known := schemas()[key]
	if !known {
		return Event{}, fmt.Errorf("no schema for message type %q", key)
	}
	if err := rule.Validate(document); err != nil {
		return Event{}, fmt.Errorf("against the schema of %s: %w", key, flat(err))
	}
	object, _ := document.(map[string]any) // the schema says that it is one
	return read(object)
}

// read takes an event out of a document that matches its schema. Numbers come
// as json.Number, since a version does not fit a float.
func read(document map[string]any) (Event, error) {
	text := func(field string) string { s, _ := document[field].(string); return s }
	e := Event{ID: text("id"), Type: text("type"), Subject: text("subject")}
	e.Data, _ = document["data"].(map[string]any)
	e.Request, _ = e.Data["request"].(string)
	number, _ := e.Data["version"].(json.Number)
	delete(e.Data, "version")
	delete(e.Data, "request")
	var err error
	if e.Version, err = number.Int64(); err != nil {
		return Event{}, fmt.Errorf("version: %w", err)
	}
	if e.Time, err = time.Parse(time.RFC3339, text("time")); err != nil {
		return Event{}, fmt.Errorf("time: %w", err)
	}
	for name, value := range e.Data {
		if n, ok := value.(json.Number); ok {
			if e.Data[name], err = n.Float64(); err != nil {
				return Event{}, fmt.Errorf("data %s: %w", name, err)
			}
		}
	}
	return e, nil
}

// mark names the event on a log line, by its own trace.
func (e Event) mark(line *zerolog.Event) {
	if e.TraceParent != "" {
		line.Ctx(trace.ContextWith(context.Background(), e.TraceParent))
	}
	if e.Request != "" {
		line.Str("request", e.Request)
	}
	line.Str("type", e.Type).Str("subject", e.Subject).Str("message", e.ID)
}

// received turns a delivery into an event.
func received(d amqp.Delivery) (Event, error) {
	e, err := decode(d.RoutingKey, d.Body)
	if err != nil {
		return Event{}, err
	}
	e.Redelivered = d.Redelivered
	e.TraceParent = parentOf(d)
	return e, nil
}

func parentOf(d amqp.Delivery) string {
	parent, _ := d.Headers[trace.Header].(string)
	if !trace.Valid(parent) {
		return ""
	}
	return parent
}

// schemas compiles the embedded JSON Schemas once. A schema that does not
// compile is a fault of the build.
var schemas = sync.OnceValue(func() map[string]*jsonschema.Schema {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	files := schema.Messages()
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			panic(fmt.Sprintf("rabbit: message schema %s: %v", name, err))
		}
		if err := compiler.AddResource(schemaBase+name, document); err != nil {
			panic(fmt.Sprintf("rabbit: message schema %s: %v", name, err))
		}
	}
	compiled := map[string]*jsonschema.Schema{}
	for _, name := range names {
		compiled[strings.TrimSuffix(name, ".json")] = compiler.MustCompile(schemaBase + name)
	}
	delete(compiled, "envelope")
	return compiled
})

// flat puts a schema error on one line.
func flat(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

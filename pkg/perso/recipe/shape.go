package recipe

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"dukcapil.go.id/sifilma/pkg/form"
)

//go:embed schemas/*.json
var schemaFiles embed.FS

// Schema is the JSON Schema of a kind.
func Schema(k Kind) ([]byte, error) { return schemaFiles.ReadFile("schemas/" + string(k) + ".json") }

var schemas = sync.OnceValue(func() map[Kind]*jsonschema.Schema {
	compiled := map[Kind]*jsonschema.Schema{}
	for _, k := range Kinds {
		text, err := Schema(k)
		if err != nil {
			panic(err) // embedded above
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			panic(fmt.Sprintf("recipe: schema of %s: %v", k, err))
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource(string(k), document); err != nil {
			panic(fmt.Sprintf("recipe: schema of %s: %v", k, err))
		}
		compiled[k] = compiler.MustCompile(string(k))
	}
	return compiled
})

const (
	longestContent = 64 << 10
	mostFaults     = 30
)

// shape compares a content with the schema of its kind.
func shape(k Kind, content []byte) form.Faults {
	schema, ok := schemas()[k]
	switch {
	case !ok:
		return form.Faults{{Pointer: "/kind", Code: "unknown_value", Detail: "Pilih profil, Kode Kunci, jenis SAM, atau pola nomor."}}
	case len(bytes.TrimSpace(content)) == 0:
		return form.Faults{{Pointer: "/content", Code: "missing", Detail: "Isi wajib diisi."}}
	case len(content) > longestContent:
		return form.Faults{{Pointer: "/content", Code: "too_long", Detail: "Isi paling panjang 64 KiB."}}
	case !utf8.Valid(content):
		return form.Faults{{Pointer: "/content", Code: "bad_character", Detail: "Isi bukan teks UTF-8."}}
	}
	if at, err := twice(content); err != nil {
		return form.Faults{{Pointer: "/content", Code: "wrong_form", Detail: notJSON(content, err)}}
	} else if at != "" {
		return below(form.Faults{{Pointer: at, Code: "same", Detail: "Nama ini tertulis dua kali."}})
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		return form.Faults{{Pointer: "/content", Code: "wrong_form", Detail: notJSON(content, err)}}
	}
	var wrong *jsonschema.ValidationError
	if err := schema.Validate(value); errors.As(err, &wrong) {
		var f form.Faults
		leaves(wrong, &f)
		return below(f[:min(len(f), mostFaults)])
	} else if err != nil {
		return form.Faults{{Pointer: "/content", Code: "wrong_form", Detail: "Isi tidak sesuai skema."}}
	}
	return nil
}

func notJSON(content []byte, err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := bytes.Count(content[:min(int(syntax.Offset), len(content))], []byte("\n")) + 1
		return fmt.Sprintf("Isi bukan JSON yang benar, sekitar baris %d. Periksa tanda koma, kutip, dan kurung.", line)
	}
	return "Isi bukan satu dokumen JSON yang lengkap."
}

// twice finds a name that an object has two times: people would see one value and
// the station use the other.
func twice(content []byte) (pointer string, err error) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	if pointer, err = twiceIn(d, "", 0); err != nil || pointer != "" {
		return pointer, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("recipe: more than one document")
	}
	return "", nil
}

const deepest = 32

func twiceIn(d *json.Decoder, at string, depth int) (string, error) {
	if depth > deepest {
		return "", errors.New("recipe: nested too deeply")
	}
	token, err := d.Token()
	if err != nil {
		return "", err
	}
	seen := map[string]bool{}
	for i := 0; ; i++ {
		inside := at + "/" + strconv.Itoa(i)
		switch token {
		case json.Delim('{'):
			if !d.More() {
				_, err := d.Token()
				return "", err
			}
			name, err := d.Token()
			if err != nil {
				return "", err
			}
			text, _ := name.(string) // the decoder gives nothing else here
			inside = at + "/" + escape(text)
			if seen[text] {
				return inside, nil
			}
			seen[text] = true
		case json.Delim('['):
			if !d.More() {
				_, err := d.Token()
				return "", err
			}
		default:
			return "", nil
		}
		if found, err := twiceIn(d, inside, depth+1); err != nil || found != "" {
			return found, err
		}
	}
}

func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// leaves puts what is wrong with a content into sentences, each once.
func leaves(e *jsonschema.ValidationError, f *form.Faults) {
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			leaves(c, f)
		}
		return
	}
	at := ""
	for _, part := range e.InstanceLocation {
		at += "/" + escape(part)
	}
	add := func(pointer, code, detail string) {
		for _, have := range *f {
			if have.Pointer == pointer {
				return
			}
		}
		f.Add(pointer, code, "%s", detail)
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			add(at+"/"+escape(name), "missing", "Wajib diisi.")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			add(at+"/"+escape(name), "unknown_field", "Nama ini tidak dikenal.")
		}
	case *kind.FalseSchema:
		add(at, "not_used", "Tidak dipakai di sini. Hapus.")
	case *kind.Type:
		words := make([]string, len(k.Want))
		for i, w := range k.Want {
			words[i] = typeWords[w]
		}
		add(at, "wrong_type", "Harus berupa "+strings.Join(words, " atau ")+".")
	case *kind.Enum:
		words := make([]string, len(k.Want))
		for i, w := range k.Want {
			words[i] = fmt.Sprint(w)
		}
		add(at, "unknown_value", "Harus salah satu dari: "+strings.Join(words, ", ")+".")
	case *kind.Const:
		add(at, "unknown_value", fmt.Sprintf("Harus %v.", k.Want))
	case *kind.Pattern:
		add(at, "wrong_form", "Bentuknya tidak benar. Pola: "+k.Want+".")
	case *kind.MinLength, *kind.MinItems:
		add(at, "missing", "Tidak boleh kosong.")
	case *kind.MaxLength, *kind.MaxItems, *kind.MaxProperties:
		add(at, "too_long", "Terlalu panjang.")
	case *kind.Minimum, *kind.Maximum:
		add(at, "out_of_range", "Di luar batas.")
	case *kind.UniqueItems:
		add(at, "same", "Ada isi yang sama dua kali.")
	default:
		add(at, "wrong_form", "Tidak sesuai skema.")
	}
}

var typeWords = map[string]string{
	"object": "objek", "array": "larik", "string": "teks", "integer": "bilangan bulat", "number": "bilangan", "boolean": "true atau false", "null": "null",
}

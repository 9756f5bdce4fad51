package contract_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/schema"
	"dukcapil.go.id/sifilma/test/contract"
	"dukcapil.go.id/sifilma/test/harness"
)

func document(t *testing.T) *contract.Document {
	t.Helper()
	d, err := contract.Load()
	require.NoError(t, err)
	return d
}

// The reader of the document would notice what it is there to notice.
func TestFaultsOfTheDocumentAreSeen(t *testing.T) {
	t.Parallel()
	text := schema.OpenAPI()
	for name, c := range map[string]struct{ old, new string }{
		"another version":           {"openapi: 3.1.0", "openapi: 3.0.3"},
		"a reference to nothing":    {"'#/components/schemas/Checked'", "'#/components/schemas/Chosen'"},
		"an example of other type":  {"submission: 1}", "submission: satu}"},
		"an example with more":      {"{code: card_count, severity: error,", "{code: card_count, weight: 1, severity: error,"},
		"an example of a component": {"example: {received: 100}", "example: {received: -1}"},
		"a path without parameter":  {"  /api/v1/handovers/{id}/closure:\n    parameters: [{$ref: '#/components/parameters/ID'}]\n", "  /api/v1/handovers/{id}/closure:\n"},
		"an operation twice":        {"operationId: getMe", "operationId: getPage"},
	} {
		require.Contains(t, string(text), c.old, name)
		_, err := contract.Read(bytes.Replace(text, []byte(c.old), []byte(c.new), 1))
		require.Error(t, err, name)
	}
}

func TestEveryOperationIsWhole(t *testing.T) {
	t.Parallel()
	d := document(t)
	tags := map[string]bool{}
	for _, tag := range d.Tags {
		tags[tag.Name] = true
		require.NotEmpty(t, tag.Description, tag.Name)
	}
	for path, item := range d.Paths.Map() {
		for method, o := range item.Operations() {
			where := method + " " + path
			require.NotEmpty(t, o.OperationID, where)
			require.NotEmpty(t, o.Summary, where)
			require.NotEmpty(t, o.Description, where)
			require.NotNil(t, o.Security, "%s does not say who may come in", where)
			require.Len(t, o.Tags, 1, where)
			require.True(t, tags[o.Tags[0]], "%s has a tag that is not described", where)
			by := contract.Words(o.Extensions, "x-served-by")
			require.NotEmpty(t, by, where)
			require.Subset(t, []string{"intake", "portal", "perso-station", "every"}, by, where)
			for _, code := range contract.Words(o.Extensions, "x-problems") {
				require.NotNil(t, o.Responses.Status(d.Problems[code]), "%s has problem %s without its status", where, code)
			}
			for status, ref := range o.Responses.Map() {
				require.NotEmpty(t, ref.Value.Description, "%s %s", where, status)
				n, err := strconv.Atoi(status)
				require.NoError(t, err, "%s: each status is named", where)
				if n < 400 || ref.Value.Content.Get("application/problem+json") == nil {
					continue
				}
				own := contract.Words(ref.Value.Extensions, "x-problems")
				require.NotEmpty(t, own, "%s %s", where, status)
				for _, code := range own {
					require.Equal(t, n, d.Problems[code], "%s %s: %s", where, status, code)
				}
			}
			if !slices.Contains(by, "every") { // these stand before the daemon, and outlive its troubles
				require.NotNil(t, o.Responses.Status(500), where)
				require.NotNil(t, o.Responses.Status(503), where)
			}
			if o.RequestBody != nil {
				for _, status := range []int{400, 413, 415} {
					require.NotNil(t, o.Responses.Status(status), "%s takes a body and never answers %d", where, status)
				}
			}
		}
	}
}

// A field that the document does not know must not go out, nor one be null that
// the document says is there.
func TestObjectsAreClosedAndTold(t *testing.T) {
	t.Parallel()
	d := document(t)
	for name, ref := range d.Components.Schemas {
		s := ref.Value
		require.NotEmpty(t, s.Description, name)
		if len(s.Properties) == 0 {
			continue
		}
		require.NotNil(t, s.AdditionalProperties.Has, "%s is open", name)
		require.False(t, *s.AdditionalProperties.Has, "%s is open", name)
		for _, required := range s.Required {
			require.Contains(t, s.Properties, required, name)
		}
		for field, p := range s.Properties {
			require.True(t, p.Ref != "" || p.Value.Description != "", "%s.%s is not explained", name, field)
		}
	}
}

func TestProblemsAreListedOnce(t *testing.T) {
	t.Parallel()
	d := document(t)
	var listed []string
	for code := range d.Problems {
		listed = append(listed, contract.ProblemPrefix+code)
	}
	require.ElementsMatch(t, words(d.Components.Schemas["Problem"].Value.Properties["type"].Value.Enum), listed)
	require.ElementsMatch(t, codesInCode(t), keys(d.Problems), "x-problems and the codes that the program can answer")
}

// codesInCode are the codes that the source gives to problems: web's own kinds,
// and every WithCode.
func codesInCode(t *testing.T) []string {
	t.Helper()
	root, err := harness.Root()
	require.NoError(t, err)
	codes := map[string]bool{}
	for _, top := range []string{"pkg", "daemons"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, top), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "WithCode" && len(n.Args) == 1 {
						code, ok := literal(n.Args[0])
						require.True(t, ok, "%s: a problem's code is written where it is given", files.Position(n.Pos()))
						codes[code] = true
					}
				case *ast.ValueSpec:
					if file.Name.Name == "web" && len(n.Names) == 1 && n.Names[0].Name == "kinds" {
						for _, kind := range n.Values[0].(*ast.CompositeLit).Elts {
							code, ok := literal(kind.(*ast.KeyValueExpr).Value.(*ast.CompositeLit).Elts[0])
							require.True(t, ok)
							codes[code] = true
						}
					}
				}
				return true
			})
			return nil
		}))
	}
	require.Greater(t, len(codes), 30, "the source was read")
	return keys(codes)
}

func literal(e ast.Expr) (string, bool) {
	b, ok := e.(*ast.BasicLit)
	if !ok || b.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(b.Value)
	return s, err == nil
}

func TestStatesAreThoseOfTheMachines(t *testing.T) {
	t.Parallel()
	d := document(t)
	for name, table := range map[string]*machine.Table{
		"NeedState": need.Machine, "RequestState": request.Machine, "CardState": perso.Machine, "DocumentState": letter.Machine, "HandoverState": handover.Machine,
		"ActivationState": activation.Machine, "ActivationLetterState": activation.LetterMachine, "ManifestReleaseState": release.Machine,
		"RecipeState": recipe.Machine,
	} {
		s := d.Components.Schemas[name].Value
		var states []string
		for _, state := range table.States() {
			states = append(states, string(state))
			require.Equal(t, table.Label(state), labels(t, s)[string(state)], "%s %s", name, state)
		}
		require.ElementsMatch(t, states, words(s.Enum), name)
	}
	causes := d.Components.Schemas["ActivationLine"].Value.Properties["cause"].Value
	require.Equal(t, activation.CauseLabels, labels(t, causes))
	require.Len(t, causes.Enum, len(activation.CauseLabels)+1, "and none")
	require.Equal(t, request.KindLabels, labels(t, d.Components.Schemas["Kind"].Value))
	for kind, label := range recipe.KindLabels {
		require.Equal(t, label, labels(t, d.Components.Schemas["RecipeKind"].Value)[string(kind)])
	}
	require.Equal(t, institution.KindLabels, labels(t, d.Components.Schemas["InstitutionKind"].Value))
	require.Equal(t, institution.PKSLabels, labels(t, d.Components.Schemas["PKSStatus"].Value))
	roles := labels(t, d.Components.Schemas["Role"].Value)
	require.Len(t, roles, len(identity.Roles))
	for _, role := range identity.Roles {
		require.Equal(t, request.RoleLabels[role], roles[string(role)], role)
	}
	require.ElementsMatch(t, identity.Scopes, words(d.Components.Schemas["Scope"].Value.Enum))
	require.Equal(t, letter.KindLabels, labels(t, d.Components.Schemas["Document"].Value.Properties["kind"].Value))
}

// The limits of the document are those of the program, and of the intake as it is
// delivered.
func TestLimitsAreThoseOfTheProgram(t *testing.T) {
	t.Parallel()
	schemas := document(t).Components.Schemas
	for schema, field := range map[string]string{"Form": "card_count", "NeedForm": "quantity"} {
		most := schemas[schema].Value.Properties[field].Value.Max
		require.NotNil(t, most, "%s.%s", schema, field)
		require.Equal(t, cardlist.MostRows, int(*most), "%s.%s", schema, field)
	}
	require.Contains(t, schemas["Drop"].Value.Properties["card_list"].Value.Description, terbilang.FormatInt(cardlist.MostRows)+" kartu")
	shipped, err := configs.Files.ReadFile("intake.yaml")
	require.NoError(t, err)
	require.Contains(t, string(shipped), fmt.Sprintf("  cards: %d ", cardlist.MostRows))
}

func TestTheTicketOfTheExamplesIsOne(t *testing.T) {
	t.Parallel()
	example := fmt.Sprint(document(t).Components.Parameters["Ticket"].Value.Example)
	_, ok := request.ParseTicket(example)
	require.True(t, ok, "%s: people will try it", example)
	require.Regexp(t, document(t).Components.Schemas["Ticket"].Value.Pattern, example)

	example = fmt.Sprint(document(t).Components.Parameters["NeedNumber"].Value.Example)
	_, ok = need.ParseNumber(example)
	require.True(t, ok, example)
	require.Regexp(t, document(t).Components.Schemas["NeedNumber"].Value.Pattern, example)
}

func labels(t *testing.T, s *openapi3.Schema) map[string]string {
	t.Helper()
	out := map[string]string{}
	all, ok := s.Extensions["x-labels"].(map[string]any)
	require.True(t, ok)
	for k, v := range all {
		out[k] = fmt.Sprint(v)
	}
	return out
}

func words(values []any) []string {
	var all []string
	for _, v := range values {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

func keys[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

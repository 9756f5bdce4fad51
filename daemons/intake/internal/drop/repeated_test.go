package drop

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAKeyThatStandsTwice(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"title":"a","title":"b"}`:                   "title",
		`{"lines":[{"x":1},{"x":{"y":[],"y":1}}]}`:    "y",
		`{"a":{"a":["a","a",{"a":null}]},"b":"a"}`:    "",
		`{"title":["title","title"],"notes":"title"}`: "",
		`[{"a":1},{"a":1}]`:                           "",
		`"a"`:                                         "",
	} {
		name, twice := repeated([]byte(text))
		require.Equal(t, want, name, text)
		require.Equal(t, want != "", twice, text)
	}
}

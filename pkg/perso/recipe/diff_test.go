package recipe_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso/recipe"
)

func TestDifferencesAreToldByPlace(t *testing.T) {
	t.Parallel()
	got, err := recipe.Differences(
		[]byte(`{"version": 1, "a": {"b": "x", "gone": [1, 2]}, "same": 1.0, "empty": []}`),
		[]byte(`{"version": 2, "a": {"b": "y"}, "same": 1.0, "empty": [{}], "new/one": true}`))
	require.NoError(t, err)
	require.Equal(t, []recipe.Difference{
		{"/a/b", `"x"`, `"y"`}, {"/a/gone/0", "1", ""}, {"/a/gone/1", "2", ""}, {"/empty", "[]", ""}, {"/empty/0", "", "{}"}, {"/new~1one", "", "true"},
	}, got)
	_, err = recipe.Differences([]byte(`{`), []byte(`{}`))
	require.Error(t, err)
}

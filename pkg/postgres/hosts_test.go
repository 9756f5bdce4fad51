package postgres

import (
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

func TestHostLists(t *testing.T) {
	t.Parallel()
	type host struct {
		name string
		port uint16
	}
	for url, want := range map[string][]host{
		"postgres://u@satu:1111,dua:2222/db?sslmode=disable": {{"satu", 1111}, {"dua", 2222}},
		"postgres://u@satu,dua:2222/db":                      {{"satu", 5432}, {"dua", 2222}},
		"postgres://u@satu,dua,tiga/db":                      {{"satu", 5432}, {"dua", 5432}, {"tiga", 5432}},
		"postgres://u@[::1]:1111,dua:2222/db":                {{"::1", 1111}, {"dua", 2222}},
		"postgres://u@satu:1111,dua/db":                      {{"satu", 1111}, {"dua", 5432}},
		"postgres://u@satu:1111/db":                          {{"satu", 1111}},
		"host=satu,dua port=1111,2222 user=u dbname=db":      {{"satu", 1111}, {"dua", 2222}},
	} {
		pc, err := Config{URL: url}.parse()
		require.NoError(t, err, url)
		got := []host{{pc.Host, pc.Port}}
		for _, m := range pc.Multi {
			got = append(got, host{m.Host, m.Port})
		}
		require.Equal(t, want, got, url)
		require.Equal(t, "u", pc.User, url)
		require.Equal(t, "db", pc.Database, url)
	}
	pc, err := Config{URL: "postgres://u@satu:1,dua:2/db?target_session_attrs=read-write&sslmode=disable"}.parse()
	require.NoError(t, err)
	require.Equal(t, pq.TargetSessionAttrsReadWrite, pc.TargetSessionAttrs)
	require.Equal(t, pq.SSLModeDisable, pc.SSLMode)
}

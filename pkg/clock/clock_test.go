package clock

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDateOfIsTheDateInJakarta(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-03-02T16:59:59Z":      "2026-03-02",
		"2026-03-02T17:00:00Z":      "2026-03-03", // midnight WIB
		"2025-12-31T17:00:00Z":      "2026-01-01",
		"2026-03-02T23:30:00-05:00": "2026-03-03",
	} {
		at, err := time.Parse(time.RFC3339, in)
		require.NoError(t, err)
		require.Equal(t, want, DateOf(at).String(), in)
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	d, err := ParseDate("2024-02-29")
	require.NoError(t, err)
	require.Equal(t, Date{2024, time.February, 29}, d)
	for _, bad := range []string{"", "2023-02-29", "2024-13-01", "2024-1-1", "01-02-2024", "2024-01-01T00:00:00Z", "0000-01-01"} {
		_, err := ParseDate(bad)
		require.Error(t, err, bad)
	}
}

func TestDateArithmetic(t *testing.T) {
	t.Parallel()
	d := MustParseDate("2026-02-27")
	require.Equal(t, "2026-03-02", d.AddDays(3).String())
	require.Equal(t, "2025-12-31", d.AddDays(-58).String())
	require.Equal(t, time.Friday, d.Weekday())
	require.True(t, d.Before(d.AddDays(1)) && d.AddDays(1).After(d) && d.Compare(d) == 0)
	require.Equal(t, "2026-02-27T01:30:00Z", d.At(8, 30).Format(time.RFC3339))
	require.Equal(t, NewDate(2026, time.May, 1), NewDate(2026, time.April, 31))
}

func TestDateProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := NewDate(2000, time.January, 1).AddDays(rapid.IntRange(0, 40000).Draw(t, "day"))
		n := rapid.IntRange(-5000, 5000).Draw(t, "n")
		e := d.AddDays(n)
		if d.DaysUntil(e) != n || e.AddDays(-n) != d {
			t.Fatalf("%v + %d = %v", d, n, e)
		}
		back, err := ParseDate(d.String())
		if err != nil || back != d || DateOf(d.At(23, 59)) != d || DateOf(d.At(0, 0)) != d {
			t.Fatalf("%v does not survive", d)
		}
	})
}

func TestDateForms(t *testing.T) {
	t.Parallel()
	type doc struct {
		On  Date `json:"on" yaml:"on"`
		Off Date `json:"off" yaml:"off"`
	}
	want := doc{On: MustParseDate("2026-08-17")}
	b, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, `{"on":"2026-08-17","off":""}`, string(b))
	var got doc
	require.NoError(t, json.Unmarshal([]byte(`{"on":"2026-08-17","off":null}`), &got))
	require.Equal(t, want, got)
	require.Error(t, json.Unmarshal([]byte(`{"on":"17-08-2026"}`), &got))
	var y doc
	require.NoError(t, yaml.Unmarshal([]byte("on: 2026-08-17\n"), &y))
	require.Equal(t, want, y)

	v, err := want.On.Value()
	require.NoError(t, err)
	require.Equal(t, "2026-08-17", v)
	v, err = Date{}.Value()
	require.NoError(t, err)
	require.Nil(t, v)
	for _, src := range []any{"2026-08-17", []byte("2026-08-17"), time.Date(2026, 8, 17, 0, 0, 0, 0, time.UTC)} {
		var d Date
		require.NoError(t, d.Scan(src))
		require.Equal(t, want.On, d)
	}
	d := want.On
	require.NoError(t, d.Scan(nil))
	require.True(t, d.IsZero())
	require.Error(t, d.Scan(7))
}

func TestFileOfficeStandsStillBetweenSteps(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock")
	first := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	require.NoError(t, StepOffice(path, first))
	o, err := OpenOffice("file:" + path)
	require.NoError(t, err)
	require.Equal(t, first, o.Now())
	require.Equal(t, first, o.Now())
	for i := range 50 { // steps may follow each other within the grain of file times
		next := first.Add(time.Duration(i) * time.Second)
		require.NoError(t, StepOffice(path, next))
		require.Equal(t, next, o.Now())
	}
	require.Equal(t, MustParseDate("2026-03-02"), Today(o))

	require.NoError(t, StepOffice(path, first.Add(-time.Hour)))
	require.Equal(t, first.Add(-time.Hour), o.Now(), "a step backwards is honoured")

	require.NoError(t, os.WriteFile(path, []byte("nonsense"), 0o600))
	require.Equal(t, first.Add(-time.Hour), o.Now(), "an unreadable instant changes nothing")
	require.NoError(t, os.Remove(path))
	require.Equal(t, first.Add(-time.Hour), o.Now())

	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, left, "steps leave no temporary files")
}

func TestOpenOfficeRefusesNonsense(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(bad, []byte("tomorrow\n"), 0o600))
	for _, spec := range []string{"fake", "file:", "file:" + bad, "file:" + bad + ".missing"} {
		_, err := OpenOffice(spec)
		require.Error(t, err, spec)
	}
	o, err := OpenOffice("real")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), o.Now(), time.Minute)
	require.Equal(t, time.UTC, o.Now().Location())
	require.Error(t, StepOffice(filepath.Join(bad, "x"), time.Now()))
}

func TestFixedOffice(t *testing.T) {
	t.Parallel()
	start := MustParseDate("2026-03-02").At(8, 0)
	o := NewFixedOffice(start)
	o.Advance(90 * time.Minute)
	require.Equal(t, start.Add(90*time.Minute), o.Now())
	o.Set(start)
	require.Equal(t, start, o.Now())
}

func TestFakeTimers(t *testing.T) {
	t.Parallel()
	f := NewFake(time.Unix(1000, 0))
	short, long := f.NewTimer(time.Second), f.NewTimer(time.Minute)
	f.Advance(time.Second)
	require.Equal(t, time.Unix(1001, 0), <-short.C())
	require.Empty(t, long.C())
	require.False(t, short.Stop(), "it has fired")
	require.True(t, long.Stop())
	f.Advance(time.Hour)
	require.Empty(t, long.C(), "a stopped timer is silent")
	long.Reset(time.Second)
	f.Advance(time.Second)
	long.Reset(time.Second)
	require.Empty(t, long.C(), "Reset drops the tick nobody took")
	require.Len(t, f.NewTimer(0).C(), 1)
}

func TestSleep(t *testing.T) {
	t.Parallel()
	f := NewFake(time.Unix(0, 0))
	done := make(chan error, 1)
	go func() { done <- Sleep(context.Background(), f, time.Minute) }()
	require.NoError(t, f.WaitTimers(t.Context(), 1))
	f.Advance(59 * time.Second)
	require.Empty(t, done)
	f.Advance(time.Second)
	require.NoError(t, <-done)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- Sleep(ctx, f, time.Minute) }()
	require.NoError(t, f.WaitTimers(t.Context(), 1))
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.ErrorIs(t, Sleep(ctx, Real(), 0), context.Canceled)
	require.NoError(t, Sleep(t.Context(), Real(), time.Microsecond))
	require.ErrorIs(t, f.WaitTimers(ctx, 9), context.Canceled)
}

func TestRealTimer(t *testing.T) {
	t.Parallel()
	m := Real()
	before := m.Now()
	timer := m.NewTimer(time.Hour)
	require.True(t, timer.Stop())
	timer.Reset(time.Microsecond)
	require.False(t, (<-timer.C()).Before(before))
}

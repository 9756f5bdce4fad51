package workday_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/workday"
)

func shipped(t require.TestingT) workday.Data {
	b, err := configs.Holidays()
	require.NoError(t, err)
	data, err := workday.Parse(b)
	require.NoError(t, err)
	return data
}

func day(s string) clock.Date { return clock.MustParseDate(s) }

// TestAddVectors holds the vectors of users.md B.2.
func TestAddVectors(t *testing.T) {
	t.Parallel()
	calendar := shipped(t).Calendar()
	for _, v := range []struct {
		from string
		n    int
		want string
	}{
		{"2026-03-16", 8, "2026-04-02"},
		{"2026-03-16", 18, "2026-04-17"},
		{"2025-03-27", 5, "2025-04-14"},
		{"2025-08-15", 1, "2025-08-19"},
		{"2026-12-23", 1, "2026-12-28"},
		{"2026-02-13", 1, "2026-02-18"},
		{"2026-05-13", 3, "2026-05-20"},
		{"2026-12-18", 8, "2027-01-04"},
		{"2027-03-05", 1, "2027-03-16"},
		{"2027-05-13", 3, "2027-05-24"},
		{"2026-11-21", 18, "2026-12-16"}, // a Saturday is day 0
	} {
		require.Equal(t, day(v.want), calendar.Add(day(v.from), v.n), "%s + %d", v.from, v.n)
		require.Equal(t, v.n, calendar.Between(day(v.from), day(v.want)), "%s..%s", v.from, v.want)
		require.Equal(t, -v.n, calendar.Between(day(v.want), day(v.from)))
	}
	require.Equal(t, day("2026-11-21"), calendar.Add(day("2026-11-21"), 0))
	require.Equal(t, day("2026-11-23"), calendar.OnOrAfter(day("2026-11-21")))
}

// TestYearCounts holds the hari kerja per year and month of users.md B.2.
func TestYearCounts(t *testing.T) {
	t.Parallel()
	data := shipped(t)
	calendar := data.Calendar()
	months := map[int][12]int{
		2026: {20, 18, 17, 21, 16, 20, 23, 19, 22, 22, 21, 21},
		2027: {19, 19, 15, 22, 16, 21, 22, 21, 22, 21, 22, 22},
	}
	want := map[int]struct{ workdays, national, joint int }{
		2025: {237, 17, 11}, 2026: {240, 17, 8}, 2027: {242, 18, 8},
	}
	for year, w := range want {
		var perMonth [12]int
		total := 0
		for d := clock.NewDate(year, 1, 1); d.Year == year; d = d.AddDays(1) {
			if calendar.IsWorkday(d) {
				perMonth[d.Month-1]++
				total++
			}
		}
		require.Equal(t, w.workdays, total, "%d", year)
		if m, listed := months[year]; listed {
			require.Equal(t, m, perMonth, "%d", year)
		}
		kinds := map[workday.Kind]int{}
		for _, h := range calendar.Year(year) {
			kinds[h.Kind]++
			require.NotEmpty(t, h.Name)
			require.NotEmpty(t, h.Decree)
		}
		require.Equal(t, map[workday.Kind]int{workday.National: w.national, workday.JointLeave: w.joint}, kinds, "%d", year)
	}
	require.True(t, calendar.Confirmed(2025))
	require.True(t, calendar.Confirmed(2026))
	require.False(t, calendar.Confirmed(2027))
	late, found := calendar.Holiday(day("2025-08-18"))
	require.True(t, found)
	require.Contains(t, late.Decree, "933/2025")
}

func TestYearsKnown(t *testing.T) {
	t.Parallel()
	calendar := shipped(t).Calendar()
	require.True(t, calendar.HasYear(2027))
	require.False(t, calendar.HasYear(2028))
	require.False(t, calendar.Confirmed(2028))
	require.Equal(t, []int{2024, 2028, 2029}, calendar.Missing(2024, 2029))
	// Without a table only weekends are off.
	require.True(t, calendar.IsWorkday(day("2029-08-17")))
	require.False(t, calendar.IsWorkday(day("2029-08-18")))
}

func TestNewKeepsTheNationalHoliday(t *testing.T) {
	t.Parallel()
	d := day("2026-08-17")
	national := workday.Holiday{Date: d, Kind: workday.National, Name: "n", Confirmed: true}
	joint := workday.Holiday{Date: d, Kind: workday.JointLeave, Name: "c"}
	for _, table := range [][]workday.Holiday{{national, joint}, {joint, national}} {
		kept, found := workday.New(table).Holiday(d)
		require.True(t, found)
		require.Equal(t, workday.National, kept.Kind)
		require.False(t, workday.New(table).Confirmed(2026), "one unconfirmed entry leaves the year unconfirmed")
	}
}

func TestReceivedOn(t *testing.T) {
	t.Parallel()
	data := shipped(t)
	calendar := data.Calendar()
	for _, v := range []struct {
		at   string
		want string
	}{
		{"2026-11-20T16:30:00+07:00", "2026-11-20"}, // Friday, at closing time
		{"2026-11-20T16:30:01+07:00", "2026-11-23"}, // Friday, after it
		{"2026-11-19T16:00:00+07:00", "2026-11-19"}, // Thursday closes half an hour earlier
		{"2026-11-19T16:01:00+07:00", "2026-11-20"},
		{"2026-11-21T10:00:00+07:00", "2026-11-23"}, // Saturday
		{"2026-11-23T05:00:00+07:00", "2026-11-23"}, // before opening
		{"2026-11-22T22:00:00Z", "2026-11-23"},      // 05.00 WIB on Monday
		{"2026-03-17T15:01:00+07:00", "2026-03-25"}, // Ramadan closes at 15.00, then Nyepi and Idulfitri
		{"2026-03-17T15:00:00+07:00", "2026-03-17"},
		{"2026-02-20T15:30:00+07:00", "2026-02-20"}, // Friday in Ramadan
		{"2026-02-20T15:31:00+07:00", "2026-02-23"},
		{"2026-12-25T09:00:00+07:00", "2026-12-28"},
	} {
		at, err := time.Parse(time.RFC3339, v.at)
		require.NoError(t, err)
		require.Equal(t, day(v.want), calendar.ReceivedOn(at, data.Hours), v.at)
	}
	night, err := time.Parse(time.RFC3339, "2026-11-20T23:59:59+07:00")
	require.NoError(t, err)
	require.Equal(t, day("2026-11-20"), calendar.ReceivedOn(night, workday.OfficeHours{}), "no hours set: the whole day counts")
}

func TestWorkdays(t *testing.T) {
	t.Parallel()
	var got []string
	for d := range shipped(t).Calendar().Workdays(day("2026-12-23")) {
		got = append(got, d.String())
		if len(got) == 3 {
			break
		}
	}
	require.Equal(t, []string{"2026-12-23", "2026-12-28", "2026-12-29"}, got)
}

func TestAddAndBetweenAgree(t *testing.T) {
	t.Parallel()
	calendar := shipped(t).Calendar()
	rapid.Check(t, func(rt *rapid.T) {
		from := day("2024-12-01").AddDays(rapid.IntRange(0, 1200).Draw(rt, "day"))
		n := rapid.IntRange(1, 300).Draw(rt, "n")
		to := calendar.Add(from, n)
		require.True(rt, calendar.IsWorkday(to))
		require.Equal(rt, n, calendar.Between(from, to))
		require.Equal(rt, to, calendar.Next(calendar.Add(from, n-1)))
		require.Equal(rt, calendar.OnOrAfter(from), calendar.Add(calendar.Add(calendar.OnOrAfter(from), n), -n))
	})
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const head = "years:\n  - year: 2026\n    decree: SKB\n    confirmed: true\n    days:\n"
	for name, text := range map[string]string{
		"unknown key":  "yers: []\n",
		"unknown kind": head + "      - {date: 2026-01-01, kind: other, name: x}\n",
		"other year":   head + "      - {date: 2025-01-01, kind: national, name: x}\n",
		"no name":      head + "      - {date: 2026-01-01, kind: national}\n",
		"twice":        head + "      - {date: 2026-01-01, kind: national, name: x}\n      - {date: 2026-01-01, kind: joint_leave, name: y}\n",
		"bad date":     head + "      - {date: 2026-02-30, kind: national, name: x}\n",
		"bad time":     "office_hours: {regular: {opens: \"25.00\"}}\n",
		"empty span":   "ramadan: [{name: x, from: 2026-02-02, to: 2026-02-01}]\n",
	} {
		_, err := workday.Parse([]byte(text))
		require.Error(t, err, name)
	}
	empty, err := workday.Parse(nil)
	require.NoError(t, err)
	require.Empty(t, empty.Holidays)
}

func FuzzParse(f *testing.F) {
	b, err := configs.Holidays()
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		data, err := workday.Parse(b)
		if err == nil {
			for _, h := range data.Holidays {
				require.False(t, data.Calendar().IsWorkday(h.Date))
			}
		}
	})
}

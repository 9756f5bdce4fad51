package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheSpoolsDiskIsLow(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 8<<20)
	o := newOffice(t, "disk_reserve: 4194304", "api: {rate_per_second: 1000, rate_burst: 1000}", fmt.Sprintf("spool_dir: %q", disk.dir))
	large := whole(t)
	large.set("letter", scan(1<<20))
	require.Equal(t, http.StatusAccepted, o.send(t, drops, large, "k-1").status)

	refused := func(p *parcel, key string) {
		t.Helper()
		r := o.send(t, drops, p, key)
		require.Equal(t, http.StatusServiceUnavailable, r.status, string(r.body))
		require.Equal(t, "urn:sifilma:problem:storage-low", r.Type)
		require.Contains(t, r.Detail, "Ruang penyimpanan")
		require.Equal(t, "30", r.header.Get("Retry-After"))
		require.Equal(t, 1, o.count(t, "request"))
		disk.empty(t)
	}
	disk.leave(t, 2<<20)
	second := numbered(t, "dua", "k-2").parcel
	refused(second, "k-2")
	ready := o.do(t, http.MethodGet, "/readyz", nil, nil)
	require.Equal(t, http.StatusServiceUnavailable, ready.status)
	require.Contains(t, string(ready.body), "disk is low")

	disk.leave(t, 8<<20)
	require.Equal(t, http.StatusOK, o.do(t, http.MethodGet, "/readyz", nil, nil).status)
	require.Equal(t, http.StatusAccepted, o.send(t, drops, second, "k-2").status)
}

// Without a reserve a disk can fill up under a drop: nothing of it stays.
func TestTheSpoolsDiskFillsUpUnderADrop(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 8<<20)
	o := newOffice(t, "disk_reserve: 0", "api: {rate_per_second: 1000, rate_burst: 1000}", fmt.Sprintf("spool_dir: %q", disk.dir))
	disk.leave(t, 1<<20)
	large := whole(t)
	large.set("letter", scan(2<<20))
	r := o.send(t, drops, large, "k-1")
	require.Equal(t, http.StatusServiceUnavailable, r.status, string(r.body))
	require.Equal(t, "urn:sifilma:problem:storage-low", r.Type)
	disk.empty(t)
	require.Zero(t, o.count(t, "request"))
	small := numbered(t, "kecil", "").parcel
	require.Equal(t, http.StatusAccepted, o.send(t, drops, small, "k-2").status, "what the drop had taken is free again")
	disk.leave(t, 8<<20)
	require.Equal(t, http.StatusAccepted, o.send(t, drops, large, "k-1").status)
}

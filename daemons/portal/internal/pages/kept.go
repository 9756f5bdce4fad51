package pages

import (
	"net/http"
	"strconv"
	"time"
)

const (
	keptKey = "tersimpan"
	// keptFor is how long a page says that something was kept: whoever loads it again
	// later, or is sent its address, has done nothing.
	keptFor = 30 * time.Second
)

// justKept is the part of an address that says that something was kept now.
func justKept() string { return keptKey + "=" + strconv.FormatInt(time.Now().Unix(), 36) }

// keptNow says whether an address says so, of a moment ago.
func keptNow(r *http.Request) bool {
	at, err := strconv.ParseInt(r.URL.Query().Get(keptKey), 36, 64)
	if err != nil {
		return false
	}
	age := time.Since(time.Unix(at, 0))
	return age > -keptFor && age < keptFor
}

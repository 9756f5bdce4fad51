package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAPaperIsSignedOnce: whoever signs it with a certificate or a pen, or voids it, at the
// same moment.
func TestAPaperIsSignedOnce(t *testing.T) {
	t.Parallel()
	o, service, _ := certifying(t)
	send := func(who, path string, body any) int {
		var r *http.Request
		if f, ok := body.(*form); ok {
			r = httptest.NewRequest(http.MethodPost, path, bytes.NewReader(f.body.Bytes()))
			r.Header.Set("Content-Type", f.mediaType)
		} else {
			text, err := json.Marshal(body)
			if err != nil {
				return 0
			}
			r = httptest.NewRequest(http.MethodPost, path, bytes.NewReader(text))
			r.Header.Set("Content-Type", "application/json")
		}
		r.AddCookie(o.cookies[who])
		w := httptest.NewRecorder()
		o.router.ServeHTTP(w, r)
		return w.Code
	}
	for round := range 3 { // certificates alone; with pens; with those who void, too
		v := o.accept(o.drop(1))
		o.produce(v, 0)
		d := o.makeLetter(v.ID)
		at := "/api/v1/documents/" + d.ID
		before := service.Signatures()
		codes := make([]int, 9)
		var all sync.WaitGroup
		for i := range codes {
			all.Go(func() {
				switch i % (round + 1) {
				case 0:
					codes[i] = send("dirjen", at+"/electronic-signature", map[string]any{"nik": "3171012345678901", "passphrase": passphrase})
				case 1:
					codes[i] = send("persuratan", at+"/signature", newForm(t, signedScan(at), "signed_on", "2026-11-23"))
				default:
					codes[i] = send("persuratan", at+"/voiding", map[string]any{"reason": "Keliru."})
				}
			})
		}
		all.Wait()
		done := 0
		for _, c := range codes {
			if c == 200 {
				done++
			}
			require.Less(t, c, 500, "%v", codes)
		}
		open := 0 // a service that is slow leaves a doubt, which keeps all others out
		for _, state := range o.signings(d.ID) {
			require.Contains(t, []string{"bsre signed", "manual signed", "bsre doubt"}, state)
			if state == "bsre doubt" {
				open++
			}
		}
		require.Equal(t, 1, done+open, "round %d: %v", round, codes)
		require.LessOrEqual(t, service.Signatures()-before, 1, "round %d: %v", round, codes)
	}
}

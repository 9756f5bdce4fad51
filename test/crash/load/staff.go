package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/demo/sample"
)

const workers = 3

// desk is a worker of the office, who signs in with each role that is needed.
type desk struct {
	*World
	staff, other map[string]*people.Client // the same people, at one portal and at the other
	rng          *rand.Rand
}

// staff acts on one request after another.
func (w *World) staff(ctx context.Context, n int) {
	portals := len(w.of.Addresses["portal"])
	d := &desk{World: w, staff: w.staffAt(n % portals), other: w.staffAt((n + 1) % portals), rng: w.dice(fmt.Sprint("staf", n))}
	for ctx.Err() == nil {
		j := w.take()
		if j == nil {
			_ = office.Pause(ctx, 200*time.Millisecond)
			continue
		}
		acted := d.attend(ctx, j)
		w.give(j)
		if !acted {
			_ = office.Pause(ctx, 100*time.Millisecond)
		}
	}
}

// take gives the next request that nobody attends to; the one that was longest
// not looked at comes first.
func (w *World) take() *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.IndexFunc(w.open, func(j *job) bool { return !j.busy })
	if at < 0 {
		return nil
	}
	j := w.open[at]
	j.busy = true
	w.open = append(slices.Delete(w.open, at, at+1), j)
	return j
}

func (w *World) give(j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j.busy = false
	if j.over {
		w.open = slices.DeleteFunc(w.open, func(o *job) bool { return o == j })
		w.settled++
	}
}

// attend looks at a request and does what somebody has to do.
func (d *desk) attend(ctx context.Context, j *job) bool {
	var v view
	if err := get(ctx, d.staff["operator"], "/api/v1/requests/"+j.ticket, &v); err != nil {
		if people.Is(err, http.StatusNotFound) {
			d.surprise("permohonan %s diterima tetapi tidak ada", j.ticket)
		}
		if ctx.Err() == nil {
			d.say(j, true, "%v", err)
		}
		return false
	}
	if v.over() {
		j.over = true
		return true
	}
	call, cancel := context.WithTimeout(ctx, 45*time.Second)
	defer cancel()
	acted, err := d.act(call, j, v)
	if ctx.Err() != nil {
		return false // what came before stands
	}
	if people.Is(err, http.StatusConflict, http.StatusPreconditionFailed) {
		// Somebody was faster, or something is still on its way; but then it changes.
		vain := d.again(j, fmt.Sprint(v.State, v.Version, err)) >= wedgedAfter
		d.say(j, vain, "%s versi %d: %v", v.State, v.Version, err)
		return false
	}
	if err != nil {
		var p *people.Problem
		if errors.As(err, &p) && p.Status < 500 && p.Status != http.StatusTooManyRequests && d.again(j, v.State+err.Error()) > 1 {
			d.surprise("permohonan %s dalam keadaan %s: %v", j.ticket, v.State, err)
		}
		d.say(j, true, "%s: %v", v.State, err)
		return false
	}
	if acted {
		d.again(j, "")
	}
	d.say(j, false, "%s versi %d, kartu %+v, dokumen %+v, serah terima %+v", v.State, v.Version, v.Cards, v.Documents, v.Handovers)
	return acted
}

// wedgedAfter is how often the same decision on an unchanged request meets a
// conflict until nobody expects another answer.
const wedgedAfter = 5

// again says how often the same was refused for the same reason, this time
// included. Once may be: what was asked for came about in the meantime, by a call
// without an answer.
func (d *desk) again(j *job, reason string) (times int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j.refuse != reason {
		j.refuse, j.times = reason, 0
	}
	j.times++
	return j.times
}

func (d *desk) say(j *job, vain bool, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	j.vain, j.last = vain, fmt.Sprintf(format, args...)
}

// decide has somebody decide, and now and then two clicks of the same decision
// reach both portals at once: it counts once, whoever is answered what.
func (d *desk) decide(ctx context.Context, role string, call people.Call, a Answer) (bool, error) {
	call.Method = http.MethodPost
	click := func(c *people.Client) (bool, error) {
		_, err := c.Do(ctx, call, nil)
		return d.answered(err, a)
	}
	if d.rng.IntN(4) != 0 {
		return click(d.staff[role])
	}
	second := make(chan error, 1)
	go func() {
		_, err := click(d.other[role])
		second <- err
	}()
	acted, err := click(d.staff[role])
	if other := <-second; other == nil {
		return true, nil
	}
	return acted, err
}

// act does one thing and says whether it did.
func (d *desk) act(ctx context.Context, j *job, v view) (bool, error) {
	verb := func(role, name string, body any) (bool, error) {
		return d.decide(ctx, role, people.Call{Path: "/api/v1/requests/" + v.Ticket + "/" + name, JSON: body,
			Header: map[string]string{"If-Match": strconv.Quote(strconv.FormatInt(v.Version, 10))}}, Answer{What: name, Subject: v.Ticket})
	}
	because := map[string]any{"reason": "diuji"}
	switch v.State {
	case "submitted", "resubmitted", "validated":
		switch {
		case !v.fact("letter_received"):
			return verb("persuratan", "letter", map[string]any{"received_on": clock.Today(d.clock)})
		case !v.fact("blanks_counted"):
			return verb("persuratan", "blanks", map[string]any{"count": v.CardCount})
		case !v.fact("compared"):
			return verb("operator", "comparison", map[string]any{"submission": v.Submission, "letter": true, "purchase_orders": true, "pks": true})
		}
	case "registered":
		if j.rng.IntN(25) == 0 {
			return verb("dirjen", "rejection", because)
		}
		return verb("dirjen", "approval", map[string]any{})
	case "approved":
		if !v.fact("disposed") {
			return verb("direktur", "disposition", map[string]any{})
		}
		return verb("kasubdit", "acceptance", map[string]any{})
	case "accepted", "scheduled":
		if !j.held && j.rng.IntN(40) == 0 {
			j.held = true
			return verb("kasubdit", "hold", because)
		}
	case "held":
		return verb("kasubdit", "release", map[string]any{})
	case "in_progress":
		return d.cards(ctx, v)
	case "done":
		return d.papers(ctx, v)
	case "returned":
		if j.faulty {
			return verb("produsen", "cancellation", because)
		}
		d.surprise("permohonan %s dikembalikan", v.Ticket)
	}
	return false, nil
}

// cards registers replacements, decides on cards in doubt, and tells the hands
// which cards to bring.
func (d *desk) cards(ctx context.Context, v view) (bool, error) {
	var list struct {
		Cards []card `json:"cards"`
	}
	if err := get(ctx, d.staff["operator"], "/api/v1/requests/"+v.Ticket+"/cards", &list); err != nil {
		return false, err
	}
	d.mu.Lock()
	for _, c := range list.Cards {
		if c.bring() {
			d.wanted[c.Serial] = true
		} else {
			delete(d.wanted, c.Serial)
		}
	}
	d.mu.Unlock()
	post := func(role, id, what, detail string, body any) (bool, error) {
		return d.decide(ctx, role, people.Call{Path: "/api/v1/cards/" + id + "/" + what, JSON: body}, Answer{What: what, Subject: id, Detail: detail})
	}
	for _, c := range list.Cards {
		switch {
		case (c.State == "failed" || c.State == "spoiled") && c.ReplacedBy == "":
			serial := fmt.Sprintf("%sR%02d", c.Serial[:len(c.Serial)-3], len(list.Cards)+1)
			return post("operator", c.ID, "replacement", serial, map[string]any{"serial": serial})
		case c.State == "in_doubt" && c.Resolution == nil && c.Proposal != "":
			return post("operator", c.ID, "resolution", c.Proposal, map[string]any{"decision": c.Proposal, "reason": "sesuai usul stasiun"})
		case c.State == "in_doubt" && c.Resolution != nil && c.Resolution.ConfirmedBy == "":
			return post("kasubdit", c.ID, "resolution/confirmation", c.Resolution.Decision, map[string]any{})
		}
	}
	return false, nil
}

// papers signs letters, hands the cards over and confirms their receipt.
func (d *desk) papers(ctx context.Context, v view) (bool, error) {
	const pdf = "application/pdf"
	if id := v.unsigned(); id != "" {
		scan, err := d.scan(ctx, id)
		if err != nil {
			return false, err
		}
		return d.decide(ctx, "persuratan", people.Call{Path: "/api/v1/documents/" + id + "/signature", Parts: []people.Part{
			{Name: "signed_on", Body: []byte(clock.Today(d.clock).String())},
			{Name: "scan", File: "pindaian.pdf", MediaType: pdf, Body: scan},
		}}, Answer{What: "signature", Subject: id, Detail: Digest(scan)})
	}
	post := func(role, path string, a Answer, body any) (bool, error) {
		return d.decide(ctx, role, people.Call{Path: path, JSON: body}, a)
	}
	if len(v.Handovers) == 0 {
		return post("operator", "/api/v1/requests/"+v.Ticket+"/handovers", Answer{What: "handovers", Subject: v.Ticket}, map[string]any{})
	}
	for _, h := range v.Handovers {
		path := "/api/v1/handovers/" + h.ID
		switch h.State {
		case "bast_drafted":
			id, state := v.paper("bast")
			if state != "awaiting_signature" {
				return false, nil
			}
			scan, err := d.scan(ctx, id)
			if err != nil {
				return false, err
			}
			return d.decide(ctx, "operator", people.Call{Path: path + "/delivery", Parts: []people.Part{
				{Name: "representative", Body: []byte("PIC Produsen Contoh")},
				{Name: "representative_post", Body: []byte("PIC Produsen")},
				{Name: "representative_of", Body: []byte("produsen")},
				{Name: "delivered_on", Body: []byte(clock.Today(d.clock).String())},
				{Name: "scan", File: "bast-ditandatangani.pdf", MediaType: pdf, Body: scan},
			}}, Answer{What: "delivery", Subject: h.ID, Detail: Digest(scan)})
		case "delivered":
			return post("produsen", path+"/receipt", Answer{What: "receipt", Subject: h.ID}, map[string]any{"received": h.Quantity})
		case "received":
			return post("kasubdit", path+"/closure", Answer{What: "closure", Subject: h.ID}, map[string]any{})
		}
	}
	return false, nil
}

// scan prints a paper and has it signed.
func (d *desk) scan(ctx context.Context, id string) ([]byte, error) {
	var body []byte
	if err := get(ctx, d.staff["operator"], "/api/v1/documents/"+id+"/files/pdf", &body); err != nil {
		return nil, err
	}
	return sample.Signed(body, "pejabat")
}

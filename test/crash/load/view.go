package load

// view is a request as the portal shows it.
type view struct {
	Ticket  string `json:"ticket"`
	State   string `json:"state"`
	Version int64  `json:"version"`
	Facts   []struct {
		Fact string `json:"fact"`
	} `json:"facts"`
	Submission int `json:"submission"`
	CardCount  int `json:"card_count"`
	Cards      struct {
		Clear   int `json:"clear"`
		Failed  int `json:"failed"`
		InDoubt int `json:"in_doubt"`
		Spoiled int `json:"spoiled"`
		Open    int `json:"open"`
	} `json:"cards"`
	Documents []struct {
		ID    string `json:"id"`
		Kind  string `json:"kind"`
		State string `json:"state"`
	} `json:"documents"`
	Handovers []struct {
		ID       string `json:"id"`
		State    string `json:"state"`
		Quantity int    `json:"quantity"`
	} `json:"handovers"`
}

func (v view) fact(name string) bool {
	for _, f := range v.Facts {
		if f.Fact == name {
			return true
		}
	}
	return false
}

// paper is the living paper of a kind and its state.
func (v view) paper(kind string) (id, state string) {
	for _, d := range v.Documents {
		if d.Kind == kind && d.State != "void" && d.State != "replaced" {
			return d.ID, d.State
		}
	}
	return "", ""
}

// unsigned are the letters that wait for their signed scan.
func (v view) unsigned() string {
	for _, d := range v.Documents {
		if d.State == "awaiting_signature" && d.Kind != "bast" {
			return d.ID
		}
	}
	return ""
}

// over says whether nobody has anything left to do.
func (v view) over() bool {
	switch v.State {
	case "rejected", "cancelled":
		return true
	case "done":
	default:
		return false
	}
	for _, kind := range []string{"reply_letter", "completion_letter", "result_list", "bast"} {
		if _, state := v.paper(kind); state != "issued" {
			return false
		}
	}
	for _, h := range v.Handovers {
		if h.State != "closed" {
			return false
		}
	}
	return len(v.Handovers) > 0
}

// card is a row of the request's card table.
type card struct {
	ID         string `json:"id"`
	Serial     string `json:"serial"`
	State      string `json:"state"`
	ReplacedBy string `json:"replaced_by"`
	Proposal   string `json:"proposal"`
	Resolution *struct {
		Decision    string `json:"decision"`
		ConfirmedBy string `json:"confirmed_by"`
	} `json:"resolution"`
}

// bring says whether a hand should put the card into a reader.
func (c card) bring() bool {
	switch c.State {
	case "listed", "bound", "numbered", "claimed", "writing", "written", "verified":
		return true
	case "in_doubt":
		return c.Resolution == nil && c.Proposal == "" || c.Resolution != nil && c.Resolution.ConfirmedBy != ""
	}
	return false
}

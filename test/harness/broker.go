package harness

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

const brokerTimeout = 30 * time.Second

// Vhost is a virtual host of one test.
type Vhost struct {
	Name   string
	rabbit local.Rabbit
}

// Rabbit returns the configuration of a broker on a fresh virtual host.
func Rabbit(t testing.TB) rabbit.Config {
	t.Helper()
	return NewVhost(t).Config("test")
}

// NewVhost creates a fresh virtual host.
func NewVhost(t testing.TB) *Vhost {
	t.Helper()
	v := &Vhost{Name: freshName(), rabbit: Services(t).Rabbit}
	ctx, cancel := context.WithTimeout(context.Background(), brokerTimeout)
	defer cancel()
	deleteOrphans(ctx, v.rabbit)
	if err := v.rabbit.API(ctx, http.MethodPut, "/vhosts/"+v.Name, struct{}{}, nil); err != nil {
		t.Fatalf("creating a virtual host for the test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), brokerTimeout)
		defer cancel()
		if err := v.rabbit.API(ctx, http.MethodDelete, "/vhosts/"+v.Name, nil, nil); err != nil {
			t.Errorf("removing the virtual host of the test: %v", err)
		}
	})
	all := map[string]string{"configure": ".*", "write": ".*", "read": ".*"}
	if err := v.rabbit.API(ctx, http.MethodPut, "/permissions/"+v.Name+"/"+v.rabbit.User, all, nil); err != nil {
		t.Fatalf("permissions on the virtual host of the test: %v", err)
	}
	return v
}

// Config is the configuration of a daemon of the given name on this host.
func (v *Vhost) Config(name string) rabbit.Config {
	return rabbit.Config{URL: v.rabbit.URL(v.Name), PasswordFile: v.rabbit.PasswordFile, Name: name}
}

// ConfigVia is Config through another address, such as that of a Proxy.
func (v *Vhost) ConfigVia(name, address string) rabbit.Config {
	c := v.Config(name)
	u, err := url.Parse(c.URL)
	if err != nil {
		panic(err) // the URL is our own
	}
	u.Host = address
	c.URL = u.String()
	return c
}

// Address is the host:port of the broker, for a Proxy.
func (v *Vhost) Address() string { return fmt.Sprintf("%s:%d", v.rabbit.Host, v.rabbit.Port) }

// API calls the management API for what lies in this virtual host: path starts
// after /api/<kind>/<vhost>, for example API(t, "GET", "queues", "/shelf", nil, &q).
func (v *Vhost) API(t testing.TB, method, kind, path string, body, answer any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), brokerTimeout)
	defer cancel()
	if err := v.rabbit.API(ctx, method, "/"+kind+"/"+v.Name+path, body, answer); err != nil {
		t.Fatal(err)
	}
}

var deleteOrphansOnce sync.Once

func deleteOrphans(ctx context.Context, r local.Rabbit) {
	deleteOrphansOnce.Do(func() {
		var all []struct{ Name string }
		if err := r.API(ctx, http.MethodGet, "/vhosts?columns=name", nil, &all); err != nil {
			return
		}
		for _, v := range all {
			if orphan(v.Name) {
				_ = r.API(ctx, http.MethodDelete, "/vhosts/"+v.Name, nil, nil)
			}
		}
	})
}

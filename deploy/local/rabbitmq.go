package local

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rabbitBin holds the broker's own programs. The wrappers in /usr/sbin switch to
// the user rabbitmq and with it to another HOME and cookie.
const rabbitBin = "/usr/lib/rabbitmq/bin"

// Rabbit is the private RabbitMQ node with its management HTTP API.
type Rabbit struct {
	Host         string  `json:"host"`
	Port         int     `json:"port"`      // AMQP
	HTTPPort     int     `json:"http_port"` // management API
	DistPort     int     `json:"dist_port"`
	EpmdPort     int     `json:"epmd_port"`
	User         string  `json:"user"` // administrator; guest does not exist
	PasswordFile string  `json:"password_file"`
	Process      Process `json:"process"`
	Epmd         Process `json:"epmd"`
	Ready        bool    `json:"ready"`
}

func (r Rabbit) running() bool { return r.Ready && r.Process.Alive() && r.Epmd.Alive() }

// URL is the AMQP URL of a virtual host without the password, which is in
// PasswordFile.
func (r Rabbit) URL(vhost string) string {
	u := url.URL{Scheme: "amqp", Host: net.JoinHostPort(r.Host, strconv.Itoa(r.Port)), User: url.User(r.User),
		Path: "/" + vhost, RawPath: "/" + url.PathEscape(vhost)}
	return u.String()
}

// API calls the management HTTP API: method and path below /api (each path part
// escaped by the caller), body and answer as JSON (nil for none). It is for
// set-up and tests; the system itself never needs it.
func (r Rabbit) API(ctx context.Context, method, path string, body, answer any) error {
	password, err := readSecret(r.PasswordFile)
	if err != nil {
		return fmt.Errorf("kata sandi RabbitMQ: %w", err)
	}
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	at := "http://" + net.JoinHostPort(r.Host, strconv.Itoa(r.HTTPPort)) + "/api" + path
	req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	req.SetBasicAuth(r.User, password)
	req.Close = true // rare calls; an idle connection would outlive a test
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		return fmt.Errorf("RabbitMQ %s %s: %s", method, path, res.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(answer)
}

func (s *Services) startRabbit(ctx context.Context) error {
	if err := s.runRabbit(ctx); err != nil {
		return fmt.Errorf("RabbitMQ: %w (lihat %s; akhirnya: %s)", err, s.logFile("rabbitmq"), lastWords(s.logFile("rabbitmq")))
	}
	return nil
}

func (s *Services) runRabbit(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(rabbitBin, "rabbitmq-server")); err != nil {
		return errors.New("program server tidak ditemukan; jalankan deploy/local/install.sh")
	}
	password, file, err := s.secret("rabbitmq", letters, 32)
	if err != nil {
		return err
	}
	if err := s.update(func() {
		s.Rabbit.Host, s.Rabbit.User, s.Rabbit.PasswordFile = "127.0.0.1", "sifilma", file
	}); err != nil {
		return err
	}
	if !s.Rabbit.Process.Alive() || !s.Rabbit.Epmd.Alive() {
		if err := s.spawnRabbit(ctx, password); err != nil {
			return err
		}
	}
	s.logf("RabbitMQ: menunggu siap di porta %d", s.Rabbit.Port)
	if err := await(ctx, s.Rabbit.Process, 2*time.Minute, s.pingRabbit); err != nil {
		return err
	}
	s.logf("RabbitMQ: siap")
	if err := os.WriteFile(s.rabbitPath("complete"), nil, 0o600); err != nil {
		return err
	}
	return s.update(func() { s.Rabbit.Ready = true })
}

func (s *Services) rabbitPath(name string) string { return filepath.Join(s.Data, "rabbitmq", name) }

func (s *Services) spawnRabbit(ctx context.Context, password string) error {
	s.sweep(ctx, "rabbitmq", "")
	if _, err := os.Stat(s.rabbitPath("complete")); errors.Is(err, os.ErrNotExist) {
		// A first start that was cut short leaves a half-made node, which the
		// next start would trip over.
		s.logf("RabbitMQ: menyiapkan broker baru")
		if err := os.RemoveAll(s.rabbitPath("")); err != nil {
			return err
		}
	}
	if err := s.configureRabbit(password); err != nil {
		return err
	}
	env := s.rabbitEnv()
	// epmd otherwise starts itself as a daemon of unknown pid.
	epmd := exec.Command("epmd", "-port", strconv.Itoa(s.Rabbit.EpmdPort), "-address", "127.0.0.1")
	epmd.Env, epmd.Dir = append([]string{}, env...), s.rabbitPath("")
	e, err := s.spawn(epmd, "rabbitmq", s.logFile("epmd"))
	if err != nil {
		return err
	}
	if err := s.update(func() { s.Rabbit.Epmd = e }); err != nil {
		return err
	}
	server := exec.Command(filepath.Join(rabbitBin, "rabbitmq-server"))
	server.Env, server.Dir = env, s.rabbitPath("")
	p, err := s.spawn(server, "rabbitmq", s.logFile("rabbitmq"))
	if err != nil {
		return err
	}
	return s.update(func() { s.Rabbit.Process, s.Rabbit.Ready = p, false })
}

func (s *Services) configureRabbit(password string) error {
	for _, d := range []string{"", "home", "mnesia", "log"} {
		if err := os.MkdirAll(s.rabbitPath(d), 0o700); err != nil {
			return err
		}
	}
	cookie := s.rabbitPath("home/.erlang.cookie")
	if _, err := os.Stat(cookie); errors.Is(err, os.ErrNotExist) {
		if err := writeAtomic(cookie, randomText(letters, 32)); err != nil {
			return err
		}
	}
	if err := os.Chmod(cookie, 0o400); err != nil { // Erlang accepts no other mode
		return err
	}
	definitions, err := rabbitDefinitions(s.Rabbit.User, password)
	if err != nil {
		return err
	}
	conf := strings.Join([]string{
		"listeners.tcp.1 = 127.0.0.1:" + strconv.Itoa(s.Rabbit.Port),
		"management.tcp.ip = 127.0.0.1",
		"management.tcp.port = " + strconv.Itoa(s.Rabbit.HTTPPort),
		"load_definitions = " + s.rabbitPath("definitions.json"),
		"log.file = rabbit.log",
		"log.file.level = warning",
		"log.console = false",
		"raft.wal_max_size_bytes = 67108864",
		"",
	}, "\n")
	for name, text := range map[string]string{
		"rabbitmq.conf":    conf,
		"definitions.json": definitions,
		"plugins":          "[rabbitmq_management].\n",
		"env.conf":         "",
	} {
		if err := writeAtomic(s.rabbitPath(name), text); err != nil {
			return err
		}
	}
	return nil
}

// rabbitDefinitions declares the one administrator. A node that starts with
// definitions makes no guest account. Only a salted hash of the password is
// written (RabbitMQ's rabbit_password_hashing_sha256).
func rabbitDefinitions(user, password string) (string, error) {
	salt := []byte(randomText(letters, 4))
	sum := sha256.Sum256(append(append([]byte{}, salt...), password...))
	text, err := json.Marshal(map[string]any{
		"vhosts": []map[string]any{{"name": "/"}},
		"users": []map[string]any{{
			"name": user, "tags": "administrator",
			"password_hash":     base64.StdEncoding.EncodeToString(append(salt, sum[:]...)),
			"hashing_algorithm": "rabbit_password_hashing_sha256",
		}},
		"permissions": []map[string]any{{"user": user, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}},
	})
	return string(text), err
}

func (s *Services) rabbitEnv() []string {
	return append(baseEnv(),
		"HOME="+s.rabbitPath("home"),
		"ERL_EPMD_PORT="+strconv.Itoa(s.Rabbit.EpmdPort),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=sifilma@localhost", // needs no name of this host to resolve
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT="+strconv.Itoa(s.Rabbit.Port),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(s.Rabbit.DistPort),
		"RABBITMQ_MNESIA_BASE="+s.rabbitPath("mnesia"),
		"RABBITMQ_LOG_BASE="+s.rabbitPath("log"),
		"RABBITMQ_PID_FILE="+s.rabbitPath("pid"),
		"RABBITMQ_CONF_ENV_FILE="+s.rabbitPath("env.conf"),
		"RABBITMQ_CONFIG_FILE="+s.rabbitPath("rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+s.rabbitPath("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+s.rabbitPath("plugins"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		// Makes the start script replace itself by the broker instead of waiting
		// for it, so that the pid we record is the broker's.
		"RUNNING_UNDER_SYSTEMD=true",
	)
}

func (s *Services) pingRabbit(ctx context.Context) error {
	if err := s.Rabbit.API(ctx, http.MethodGet, "/whoami", nil, nil); err != nil {
		return err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(s.Rabbit.Host, strconv.Itoa(s.Rabbit.Port)))
	if err != nil {
		return err
	}
	return c.Close()
}

func (s *Services) stopRabbit(ctx context.Context) {
	if p := s.Rabbit.Process; p.Alive() {
		s.logf("RabbitMQ: menghentikan")
		end(ctx, p, 10*time.Second, unix.SIGTERM)
	}
	if p := s.Rabbit.Epmd; p.Alive() {
		end(ctx, p, time.Second, unix.SIGTERM)
	}
	s.sweep(context.WithoutCancel(ctx), "rabbitmq", "")
	s.save.Lock()
	defer s.save.Unlock()
	s.Rabbit.Process, s.Rabbit.Epmd, s.Rabbit.Ready = Process{}, Process{}, false
}

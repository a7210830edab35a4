package testdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

// Mishap is what befalls one packet of a client's on its way to the server.
type Mishap int

// The mishaps. All but Pass last as long as the packet's connection.
const (
	Pass    Mishap = iota
	Swallow        // it is lost, and so is all that follows; nothing answers
	Mute           // it arrives; the answers are lost
	Cut            // it arrives; the connection ends when the server has answered
	Reset          // it is lost, and the connection is reset
)

// Proxy is the network between a client and a database server, and what befalls it. It ends with the test. Its methods may
// be called at any time.
type Proxy struct {
	// DSN is that of the server's database, through the proxy.
	DSN string

	server   string
	listener net.Listener
	befall   atomic.Pointer[func([]byte) Mishap]
	dark     atomic.Bool  // answers are swallowed whatever befalls packets
	delay    atomic.Int64 // of each packet, in nanoseconds

	mu      sync.Mutex
	clients map[net.Conn]bool
	closed  bool
}

// ProxyPostgres puts a proxy before the server of a DSN. The test is left out where connections cannot be looked into.
func ProxyPostgres(t testing.TB, dsn string) *Proxy {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal("the DSN of the test's Postgres database cannot be read")
	}
	if config.TLSConfig != nil || config.Host[0] == '/' {
		t.Skip("left out: the connection to the Postgres server is not plain TCP")
	}
	p := newProxy(t, net.JoinHostPort(config.Host, fmt.Sprint(config.Port)))
	user := url.User(config.User)
	if config.Password != "" {
		user = url.UserPassword(config.User, config.Password)
	}
	own := url.URL{Scheme: "postgres", User: user, Host: p.listener.Addr().String(), Path: config.Database, RawQuery: "sslmode=disable"}
	p.DSN = own.String()
	return p
}

// ProxyMySQL puts a proxy before the server of a DSN in the form of go-sql-driver.
func ProxyMySQL(t testing.TB, dsn string) *Proxy {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal("the DSN of the test's MySQL database cannot be read")
	}
	if config.Net != "tcp" || config.TLSConfig != "" {
		t.Skip("left out: the connection to the MySQL server is not plain TCP")
	}
	p := newProxy(t, config.Addr)
	config.Addr = p.listener.Addr().String()
	p.DSN = config.FormatDSN()
	return p
}

// ProxyServer puts a proxy before a server of the test's own.
func ProxyServer(t testing.TB, s *dbserver.Server) *Proxy {
	t.Helper()
	if s.Kind == dbserver.Postgres {
		return ProxyPostgres(t, s.DSN())
	}
	return ProxyMySQL(t, s.DSN())
}

func newProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{server: server, listener: listener, clients: map[net.Conn]bool{}}
	p.Heal()
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		p.end()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil && p.admit(client) {
				serving.Go(func() { p.serve(client) })
			}
		}
	})
	return p
}

// Befall lets what decides be asked about each packet that a client sends.
func (p *Proxy) Befall(decide func(packet []byte) Mishap) { p.befall.Store(&decide) }

// Always lets the same befall every packet.
func (p *Proxy) Always(m Mishap) { p.Befall(func([]byte) Mishap { return m }) }

// BlackHole swallows everything, in both directions. Connections are accepted and stay open.
func (p *Proxy) BlackHole() {
	p.dark.Store(true)
	p.Always(Swallow)
}

// Slow delays each packet, in both directions.
func (p *Proxy) Slow(d time.Duration) { p.delay.Store(int64(d)) }

// Heal passes everything on again. Connections that something befell stay as they are.
func (p *Proxy) Heal() {
	p.dark.Store(false)
	p.delay.Store(0)
	p.Always(Pass)
}

// ResetAll resets the connections that there are.
func (p *Proxy) ResetAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for client := range p.clients {
		reset(client)
	}
}

// admit keeps a client's connection in mind, unless the proxy has ended.
func (p *Proxy) admit(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = client.Close()
		return false
	}
	p.clients[client] = true
	return true
}

func (p *Proxy) end() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.ResetAll()
}

func reset(client net.Conn) {
	if tcp, ok := client.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // which makes Close send a reset
	}
	_ = client.Close()
}

func (p *Proxy) serve(client net.Conn) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.clients, client)
		_ = client.Close()
	}()
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var mood atomic.Int64 // the last mishap of this connection
	var answering sync.WaitGroup
	answering.Go(func() { p.answer(client, server, &mood) })
	p.ask(client, server, &mood)
	_ = server.Close()
	answering.Wait()
}

// ask passes on what the client says.
func (p *Proxy) ask(client, server net.Conn, mood *atomic.Int64) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(p.delay.Load())) // the network's delay
		before := Mishap(mood.Load())
		m := (*p.befall.Load())(buffer[:n])
		if before == Swallow {
			continue
		}
		if m != Pass {
			mood.Store(int64(m))
		}
		switch m {
		case Swallow:
			continue
		case Reset:
			reset(client)
			return
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// answer passes on what the server says.
func (p *Proxy) answer(client, server net.Conn, mood *atomic.Int64) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		m := Mishap(mood.Load())
		if m == Swallow || m == Mute || p.dark.Load() {
			if err != nil {
				return // and the client is not told
			}
			continue
		}
		if err != nil || m == Cut { // the server has answered, so it has done it
			_ = client.Close()
			return
		}
		time.Sleep(time.Duration(p.delay.Load())) // the network's delay
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

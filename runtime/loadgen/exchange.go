package loadgen

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"slbctl/runtime/webserver"
	"slbctl/spec"
)

// visitor is a client of HTTP.
type visitor struct {
	mu  sync.Mutex
	jar *cookiejar.Jar // nil = it keeps none
}

// of returns whose call it is. Its first one ends what was before.
func (g *generator) of(c *Call) *visitor {
	g.mu.Lock()
	v := g.visitors[c.Visitor]
	if v == nil {
		v = &visitor{}
		g.visitors[c.Visitor] = v
	}
	g.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.First {
		v.jar = nil
		if x := g.lines.take(v); x != nil {
			x.close()
		}
	}
	if v.jar == nil && c.Cookies {
		v.jar, _ = cookiejar.New(nil) // never fails
	}
	return v
}

// connect is a connection on L4 on which a server is asked for a page.
func (g *generator) connect(c *Call, r *Reply) {
	deadline := time.Now().Add(g.target.Patience)
	x, err := g.dial(g.ctx, c, deadline)
	if err != nil {
		g.fails(r, err)
		return
	}
	defer x.close()
	if g.target.Echo {
		g.echo(x, r)
	} else {
		g.exchange(x, c, nil, "Connection: close\r\n", r)
	}
	if r.Fate == Answered {
		// Who closes first cannot have the port again for a while: that is to be the other
		// side. One that echoes waits for the end of what it gets.
		if half, ok := x.Conn.(*net.TCPConn); ok && g.target.Echo {
			_ = half.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, x.in) // the answer was whole
	}
}

// visit is a request of HTTP, on the connection that its visitor has or on a new one. A kept
// one may have been closed meanwhile: then nobody has seen the request, and it is sent again.
func (g *generator) visit(c *Call, r *Reply) {
	v := g.of(c)
	deadline := time.Now().Add(g.target.Patience)
	v.mu.Lock()
	jar := v.jar
	v.mu.Unlock()
	x := g.lines.take(v)
	for {
		if x == nil {
			var err error
			if x, err = g.dial(g.ctx, c, deadline); err != nil {
				g.fails(r, err)
				return
			}
			x.visitor = v
		} else if err := x.SetDeadline(deadline); err != nil {
			g.fails(r, err)
			return
		}
		stays := g.exchange(x, c, jar, "", r)
		if stays && !c.Last {
			x.used = true
			g.lines.keep(v, x)
			return
		}
		x.close()
		if r.Fate != Closed || !x.used || g.ctx.Err() != nil {
			return
		}
		x = nil
	}
}

func (g *generator) fails(r *Reply, err error) { r.Fate, r.Err = fateOf(err), err }

// exchange asks on a connection and reads the answer to its end; stays says that there may
// be another request.
func (g *generator) exchange(x *line, c *Call, jar *cookiejar.Jar, extra string, r *Reply) (stays bool) {
	r.Source, r.Err = x.source, nil
	stop := context.AfterFunc(g.ctx, func() { _ = x.SetDeadline(time.Unix(1, 0)) }) // a closed one needs none
	defer stop()
	u := &url.URL{Scheme: spec.ProtocolHTTP, Host: c.Host, Path: "/"}
	if g.target.Secure {
		u.Scheme = spec.ProtocolHTTPS
	}
	if path, err := url.ParseRequestURI(c.Path); err == nil {
		u.Path = path.Path
	}
	if _, err := io.WriteString(x, head(c, u, jar)+extra+"\r\n"); err != nil {
		g.fails(r, err)
		return false
	}
	if _, err := x.in.Peek(1); err != nil {
		g.fails(r, err)
		return false
	}
	answer, err := http.ReadResponse(x.in, &http.Request{Method: http.MethodGet})
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close() // it was read to its end, or err says why not
	}
	if err != nil {
		if r.Fate, r.Err = fateOf(err), err; r.Fate != Silent {
			r.Fate = Broken
		}
		return false
	}
	r.Fate, r.Status, r.Done = Answered, answer.StatusCode, g.now()
	r.Server, _ = netip.ParseAddrPort(answer.Header.Get(webserver.NameHeader)) // who does not say is nobody
	if jar != nil {
		jar.SetCookies(u, answer.Cookies())
	}
	return !answer.Close
}

// head is a request up to its last field line.
func head(c *Call, u *url.URL, jar *cookiejar.Jar) string {
	var b strings.Builder
	b.WriteString("GET " + c.Path + " HTTP/1.1\r\nHost: " + c.Host + "\r\nUser-Agent: slbctl\r\n" + webserver.NameHeader + ": ?\r\n")
	if jar == nil {
		return b.String()
	}
	for k, cookie := range jar.Cookies(u) {
		if k == 0 {
			b.WriteString("Cookie: ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(cookie.Name + "=" + cookie.Value)
	}
	if b.String()[b.Len()-1] != '\n' {
		b.WriteString("\r\n")
	}
	return b.String()
}

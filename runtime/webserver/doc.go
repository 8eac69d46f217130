// Package webserver is the instances: the web pages that load balancers send
// requests to. All of them live in one child process of the daemon, so that they
// neither slow the data plane's loops nor die with them. The child serves, and
// whoever runs the engine talks to it over a unix socket:
//
//	// in the child
//	err := webserver.ServeChild(ctx, controlSocket, logFolder)
//
//	// in the daemon
//	child, err := webserver.Dial(ctx, path)
//	err = child.Set(ctx, []webserver.Instance{{
//		Address:   "instance.ECS01",
//		Endpoints: []netip.AddrPort{netip.MustParseAddrPort("127.10.0.1:8080")},
//		Protocol:  spec.ProtocolHTTP,
//		Pages:     []spec.Page{{Path: "/", Content: "Hello World !\n", Status: 200}},
//		Running:   true,
//	}})
//
// Set is declarative and a transaction: it names every instance there is to be,
// and when one of the new endpoints cannot be bound nothing has changed.
//
// A socket belongs to its endpoint. What it answers is one pointer that Set
// swaps, so pages, protocol and even the owner of an endpoint change without
// closing it.
//
// An instance with a Command is a program of the user instead, which binds its endpoints
// itself. It is started again when it ends, and ended with its instance.
package webserver

import (
	"net/netip"

	"slbctl/spec"
)

// Instance is one backend server as it should be.
type Instance struct {
	// Address is the resource address. It names the instance in messages;
	// two instances may share it for the time that one replaces the other.
	Address string `json:"address"`
	// Endpoints are the real addresses and ports.
	Endpoints []netip.AddrPort `json:"endpoints"`
	Protocol  string           `json:"protocol"` // spec.ProtocolHTTP, ProtocolTCPEcho or ProtocolUDPEcho
	Pages     []spec.Page      `json:"pages,omitempty"`
	// Site is a folder of static files, for paths that no page has.
	Site string `json:"site,omitempty"`
	// Command is a program that serves instead, in WorkingDir and with Env.
	Command    []string            `json:"command,omitempty"`
	Env        map[string]string   `json:"env,omitempty"`
	WorkingDir string              `json:"working_dir,omitempty"`
	Fault      *spec.InstanceFault `json:"fault,omitempty"`
	// Running false closes the sockets: connects are refused.
	Running bool `json:"running"`
	// Draining makes every answer say "Connection: close".
	Draining bool `json:"draining,omitempty"`
}

// Status is one instance as it is.
type Status struct {
	Address   string           `json:"address"`
	Endpoints []netip.AddrPort `json:"endpoints"`
	Running   bool             `json:"running"`
	Draining  bool             `json:"draining,omitempty"`
}

package planner_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"slbctl/planner"
	"slbctl/runtime/durable/durabletest"
	"slbctl/spec"
)

// The tutorial with an https listener, whose certificate has the key of a digest.
func secured(digest string) []spec.Resource {
	lb := `load_balancer.SLB1.listener`
	return append(quickstart(),
		resource("certificate.www", attrs{"certificate": "-----BEGIN CERTIFICATE-----\n" + digest + "\n-----END CERTIFICATE-----\n", "private_key": digest, "names": []any{"www.a.test"}}),
		resource("certificate.shop", attrs{"domains": []any{"shop.a.test"}, "names": []any{"shop.a.test"}}),
		resource("ca_certificate.clients", attrs{"certificate": "x"}),
		resource("tls_cipher_policy.own", attrs{"tls_versions": []any{"TLSv1.2"}, "ciphers": []any{"AES128-SHA"}}),
		resource(lb+`["https:443"]`, attrs{
			"protocol": "https", "port": 443.0, "certificate": "certificate.www", "ca_certificate": "ca_certificate.clients", "tls_cipher_policy": "tls_cipher_policy.own",
			"additional_certificate": []any{attrs{"domain": "shop.a.test", "certificate": "certificate.shop"}},
		}, "certificate.www", "certificate.shop", "ca_certificate.clients", "tls_cipher_policy.own"),
		resource(lb+`["http:81"]`, attrs{"protocol": "http", "port": 81.0, "redirect": attrs{"port": 443.0, "code": 302.0}}),
	)
}

func digest(n int) string { return fmt.Sprintf("hmac-sha256:%064x", n) }

// canary is the secret of a digest.
func canary(digest string) string { return "the key of " + digest[len(digest)-4:] }

// withSecret is the input for a configuration that has the key of a digest.
func (w *world) withSecret(t testing.TB, d string) planner.Input {
	t.Helper()
	c := config(t, secured(d))
	c.Secrets = map[string]string{d: canary(d), digest(999): "of nobody"}
	return w.input(t, c)
}

func secretFile(d string) string { return "/w/.slbctl/secrets/" + spec.SecretName(d) }

// TestSecretsStayBeside: no document of a plan or state shows what a digest stands for.
func TestSecretsStayBeside(t *testing.T) {
	w := newWorld()
	p := w.apply(t, w.withSecret(t, digest(1)))
	if len(p.Secrets) != 1 {
		t.Errorf("the plan has %d secrets", len(p.Secrets))
	}
	next := mustMake(t, w.withSecret(t, digest(2)))
	if got, want := summary(next), "update certificate.www [certificate private_key]"; got != want {
		t.Error(got)
	}
	var shown bytes.Buffer
	if err := errors.Join(next.WriteText(&shown, planner.Style{}), next.WriteJSON(&shown), next.Save(w.disk, "/w/p", fingerprint(t, w))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown.String(), "private_key = (sensitive value) -> (sensitive value)\n") || !strings.Contains(shown.String(), "certificate = (PEM, 1 certificate) -> (PEM, 1 certificate)\n") {
		t.Error(shown.String())
	}
	if err := planner.Apply(t.Context(), next, w.store(), w.engine, planner.ApplyOptions{}, ignore); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(shown.String(), "the key of") {
		t.Error("a plan shows a secret")
	}
	for _, name := range w.disk.Names() {
		data, err := w.disk.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "the key of") != (path.Dir(name) == "/w/.slbctl/secrets") {
			t.Errorf("%s: %s", name, data)
		}
	}
	// An apply of no changes brings back what is lost.
	if err := w.disk.Remove(secretFile(digest(2))); err != nil {
		t.Fatal(err)
	}
	if lacking, err := w.store().Lacks(w.recorded(t)); len(lacking) != 1 || lacking[0] != "certificate.www" || err != nil {
		t.Errorf("lacking %v %v", lacking, err)
	}
	w.apply(t, w.withSecret(t, digest(2)))
	if text, err := w.disk.ReadFile(secretFile(digest(2))); string(text) != canary(digest(2)) || err != nil {
		t.Errorf("%q %v", text, err)
	}
}

// TestSecretsInside: what is secret may stand inside an attribute.
func TestSecretsInside(t *testing.T) {
	w := newWorld()
	hiding := func(d string) []spec.Resource {
		return with(quickstart(), resource("instance.ECS01", attrs{"env": attrs{"KEY": d}, "page": []any{attrs{"path": "/", "headers": attrs{"X": d}}}}))
	}
	input := func(d string) planner.Input {
		c := config(t, hiding(d))
		c.Secrets = map[string]string{d: canary(d)}
		return w.input(t, c)
	}
	w.apply(t, input(digest(1)))
	next := mustMake(t, input(digest(2)))
	var shown bytes.Buffer
	if err := next.WriteText(&shown, planner.Style{}); err != nil || !strings.Contains(shown.String(), "env.KEY = (sensitive value) -> (sensitive value)") {
		t.Errorf("%v\n%s", err, shown.String())
	}
	w.apply(t, input(digest(2)))
	for _, d := range []string{digest(1), digest(2)} { // the history has the first
		if text, err := w.disk.ReadFile(secretFile(d)); string(text) != canary(d) || err != nil {
			t.Errorf("%q %v", text, err)
		}
	}
	if err := w.disk.Remove(secretFile(digest(2))); err != nil {
		t.Fatal(err)
	}
	if lacking, err := w.store().Lacks(w.recorded(t)); len(lacking) != 1 || lacking[0] != "instance.ECS01" || err != nil {
		t.Errorf("lacking %v %v", lacking, err)
	}
}

// TestSecretsGoWithTheirLastGeneration: the history may be gone back to, so a secret
// stays as long as it is in there, and what the daemon comes back with has it too.
func TestSecretsGoWithTheirLastGeneration(t *testing.T) {
	w := newWorld()
	there := func(d string) bool {
		_, err := w.disk.ReadFile(secretFile(d))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	}
	w.disk.Put(secretFile(digest(7)), []byte("of a plan that nobody applied"))
	w.disk.Put("/w/.slbctl/secrets/issued-1", []byte("the daemon's own"))
	w.apply(t, w.withSecret(t, digest(1)))
	if there(digest(7)) || !there(digest(1)) {
		t.Error("what nobody refers to stays")
	}
	w.apply(t, w.withSecret(t, digest(2)))
	w.disk.Put("/w/.slbctl/committed.json", []byte(digest(1)))
	const kept = 50
	for i := range kept - 1 {
		if !there(digest(1)) || !there(digest(2)) {
			t.Fatalf("after %d applies a secret is gone that the history has", i)
		}
		r := with(secured(digest(2)), listener("SLB1", "80", attrs{"bandwidth": float64(1 + i%2)}))
		w.apply(t, w.input(t, config(t, r)))
	}
	if !there(digest(1)) {
		t.Error("what the daemon comes back with is gone")
	}
	w.disk.Put("/w/.slbctl/committed.json", []byte(digest(2)))
	w.apply(t, w.input(t, config(t, secured(digest(2)))))
	w.apply(t, w.withSecret(t, digest(3)))
	if there(digest(1)) || !there(digest(2)) || !there(digest(3)) {
		t.Error("what is gone with the history, and what stays")
	}
	if _, err := w.disk.ReadFile("/w/.slbctl/secrets/issued-1"); err != nil {
		t.Error("the daemon's own is gone")
	}
}

// TestApplyWithSecretStoppedAnywhere: whatever stops an apply, what is recorded then has
// its secrets.
func TestApplyWithSecretStoppedAnywhere(t *testing.T) {
	for _, loss := range durabletest.Losses {
		for at, done := 1, false; !done; at++ {
			w := newWorld()
			w.apply(t, w.withSecret(t, digest(1)))
			p := mustMake(t, w.withSecret(t, digest(2)))
			w.disk.StopAt(at, nil)
			_ = planner.Apply(t.Context(), p, w.store(), w.engine, planner.ApplyOptions{}, ignore)
			done = !w.disk.Stopped()
			w.disk = w.disk.Reboot(loss)
			s := w.recorded(t)
			if lacking, err := w.store().Lacks(s); err != nil || lacking != nil {
				t.Fatalf("loss %d, stop at %d: serial %d lacks the secret of %v: %v", loss, at, s.Serial, lacking, err)
			}
			if done && s.Serial != 2 {
				t.Fatal("the apply did not happen")
			}
		}
	}
}

// TestFullDisk has the disk full from each operation on of an apply with a secret and of
// saving its plan. What is recorded then has its secrets, and a plan file is whole or as it
// was, without a rest beside it.
func TestFullDisk(t *testing.T) {
	for at, done := 1, false; !done; at++ {
		w := newWorld()
		w.apply(t, w.withSecret(t, digest(1)))
		p := mustMake(t, w.withSecret(t, digest(2)))
		w.disk.FillAt(at)
		err := planner.Apply(t.Context(), p, w.store(), w.engine, planner.ApplyOptions{}, ignore)
		if done = err == nil; !done && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("full from operation %d on: %v", at, err)
		}
		w.disk = w.disk.Reboot(durabletest.Nothing)
		s := w.recorded(t)
		if lacking, err := w.store().Lacks(s); err != nil || lacking != nil || done && s.Serial != 2 {
			t.Fatalf("full from operation %d on: serial %d lacks the secret of %v: %v", at, s.Serial, lacking, err)
		}
		w.disk.Put("/w/p", []byte("an older plan"))
		before := w.disk.Names()
		w.disk.FillAt(at)
		if err := p.Save(w.disk, "/w/p", fingerprint(t, w)); err != nil {
			if text, _ := w.disk.ReadFile("/w/p"); string(text) != "an older plan" || !slices.Equal(w.disk.Names(), before) {
				t.Errorf("full from operation %d on: %v leaves %q, %v", at, err, text, w.disk.Names())
			}
		}
	}
}

func TestDestroyWhatSecures(t *testing.T) {
	const l = `load_balancer.SLB1.listener["https:443"]`
	for target, want := range map[string]string{
		"certificate.www":        l + " shows its clients certificate.www: name " + l,
		"certificate.shop":       l + " shows its clients certificate.shop: name " + l,
		"ca_certificate.clients": l + " checks its clients with ca_certificate.clients: name " + l,
		"tls_cipher_policy.own":  l + " talks to its clients by tls_cipher_policy.own: name " + l,
		l:                        `load_balancer.SLB1.listener["http:81"] redirects to ` + l,
		"load_balancer.SLB1":     "",
	} {
		in := holding(t, secured(digest(1))).input(t, nil)
		in.Destroy, in.Targets = true, []string{target}
		_, err := planner.Make(in)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", target, got)
		}
	}
}

package app

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/schemas"
)

// missing skips a test that needs what this machine lacks; in CI it must run.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// snippet is one of the examples that deploy/edge gives for mail servers.
func snippet(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "edge", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// openFolder is a folder that other users, as mail servers run under, can enter.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "holdfast-mail-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startPostfix runs an instance of its own in a folder, without touching the machine's, and
// returns its address. Whoever connects from loopback may say by XCLIENT who signed in.
func startPostfix(t *testing.T, policy string) string {
	t.Helper()
	postfix, err := exec.LookPath("postfix")
	if err != nil {
		missing(t, "postfix is missing: apt-get install --no-install-recommends postfix")
	}
	if os.Getuid() != 0 {
		missing(t, "postfix can only be started by root")
	}
	if _, err := user.Lookup("postfix"); err != nil {
		missing(t, "the user postfix is missing: install Debian's postfix")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	root := openFolder(t)
	etc := filepath.Join(root, "etc")
	for _, dir := range []string{"etc", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	owner, err := exec.Command("chown", "postfix", filepath.Join(root, "data")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, owner)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = mail.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:yes
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
%[2]s`, root, strings.ReplaceAll(snippet(t, "postfix-main.cf"), "127.0.0.1:9998", policy)))
	_, port, _ := net.SplitHostPort(addr)
	write("master.cf", fmt.Sprintf(`127.0.0.1:%s inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
`, port))
	run := func(args ...string) ([]byte, error) {
		return exec.Command(postfix, append([]string{"-c", etc}, args...)...).CombinedOutput()
	}
	if out, err := run("start"); err != nil {
		t.Fatalf("postfix does not start: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := run("stop"); err != nil {
			t.Errorf("postfix does not stop: %v\n%s", err, out)
		}
	})
	within(t, time.Minute, "postfix does not listen", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return addr
}

// rcpt asks a mail server whether an account that has signed in may send.
func rcpt(t *testing.T, addr, account string) (code int, text string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	p := textproto.NewConn(c)
	if _, _, err := p.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"EHLO test.example", "XCLIENT LOGIN=" + account, "EHLO test.example", "MAIL FROM:<a@example.org>"} {
		if _, err := p.Cmd("%s", line); err != nil {
			t.Fatal(err)
		}
		want := 250
		if strings.HasPrefix(line, "XCLIENT") {
			want = 220
		}
		if _, _, err := p.ReadResponse(want); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	if _, err := p.Cmd("RCPT TO:<b@example.org>"); err != nil {
		t.Fatal(err)
	}
	code, text, err = p.ReadResponse(0)
	if err != nil && code == 0 {
		t.Fatal(err)
	}
	return code, text
}

// A real Postfix refuses a suspended account's mail within a second of the decision, keeps
// refusing it with everything else gone, and takes it again after the release.
func TestPostfixAsksTheEdge(t *testing.T) {
	cfg := edgeOf(t)
	a, stop := launch(t, cfg, Options{Roles: []Role{RoleRespond}})
	x := launchEdge(t, cfg)
	addr := startPostfix(t, x.Addresses().Postfix[0])
	// A machine that has other work now and then takes a second for one question alone, so the
	// quickest of three decides. As a rule it is some milliseconds.
	const allowed, tries = time.Second, 3
	quickest := time.Hour
	for i := range tries {
		suspended := fmt.Sprintf("acct-1%d", i)
		if code, text := rcpt(t, addr, suspended); code != 250 {
			t.Fatalf("before anything was decided: %d %s", code, text)
		}
		act(t, a, schemas.Entity{Kind: schemas.KindAccount, ID: suspended}, "suspend")
		decided := time.Now()
		text := ""
		within(t, 30*time.Second, "postfix goes on taking mail", func() bool {
			var code int
			code, text = rcpt(t, addr, suspended)
			return code == 550
		})
		quickest = min(quickest, time.Since(decided))
		if !strings.Contains(text, "5.7.1") {
			t.Errorf("the refusal is %q", text)
		}
	}
	t.Logf("refused %s after the decision was answered, at best", quickest.Round(time.Millisecond))
	if quickest > allowed {
		t.Errorf("the quickest of %d refusals came %s after its decision", tries, quickest)
	}
	acct := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-10"}
	if code, _ := rcpt(t, addr, "acct-2"); code != 250 {
		t.Errorf("another account is refused as well: %d", code)
	}
	stop()
	if code, text := rcpt(t, addr, acct.ID); code != 550 {
		t.Errorf("with everything else gone: %d %s", code, text)
	}
	if code, text := rcpt(t, addr, "acct-2"); code != 250 {
		t.Errorf("with everything else gone, another account: %d %s", code, text)
	}
	a, _ = launch(t, cfg, Options{Roles: []Role{RoleRespond}})
	act(t, a, acct, "release")
	within(t, 30*time.Second, "postfix goes on refusing", func() bool {
		code, _ := rcpt(t, addr, acct.ID)
		return code == 250
	})
}

// exim returns a real Exim: the machine's, or one that was unpacked beside it, since Debian
// installs one mail server at a time.
func exim(t *testing.T) string {
	t.Helper()
	path := os.Getenv("EXIM4")
	if path == "" {
		path, _ = exec.LookPath("exim4")
	}
	if path == "" {
		missing(t, "exim4 is missing: install it, or unpack Debian's exim4-daemon-light and name its exim4 in EXIM4")
	}
	if os.Getuid() != 0 {
		missing(t, "exim takes another configuration from root alone")
	}
	return path
}

// eximRcpt plays an SMTP session in which an account signs in to a real Exim, whose ACL is the
// example of deploy/edge, and returns the answer to RCPT.
func eximRcpt(t *testing.T, path, socket, account string) string {
	t.Helper()
	dir := openFolder(t)
	conf := filepath.Join(dir, "exim.conf")
	acl := strings.ReplaceAll(snippet(t, "exim.conf"), "/run/holdfast/edge.sock", socket)
	err := os.WriteFile(conf, []byte(fmt.Sprintf(`primary_hostname = mail.example.org
exim_user = mail
exim_group = mail
log_file_path = %[1]s/log-%%s
spool_directory = %[1]s/spool
acl_smtp_rcpt = check_rcpt
begin acl
check_rcpt:
%[2]s
  accept
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = yes
  server_set_id = $auth2
  server_advertise_condition = yes
`, dir, acl)), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-C", conf, "-bh", "192.0.2.1")
	login := base64.StdEncoding.EncodeToString([]byte("\x00" + account + "\x00password"))
	cmd.Stdin = strings.NewReader("EHLO x\r\nAUTH PLAIN " + login + "\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nQUIT\r\n")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("exim: %v\n%s", err, said.String())
	}
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(out.String(), "\r", "")), "\n")
	for i, line := range lines { // a long text takes several lines
		if strings.HasPrefix(line, "250 OK") && i+1 < len(lines) {
			return lines[i+1]
		}
	}
	t.Fatalf("exim said %q\n%s", lines, said.String())
	return ""
}

// A real Exim refuses a suspended account's recipients, and takes the others'.
func TestEximAsksTheEdge(t *testing.T) {
	path := exim(t)
	cfg := edgeOf(t)
	socket := filepath.Join(openFolder(t), "line.sock")
	cfg.Edge.Line.Listen = []string{"unix:" + socket}
	a, stop := launch(t, cfg, Options{Roles: []Role{RoleRespond}})
	launchEdge(t, cfg)
	if err := os.Chmod(socket, 0o666); err != nil { // for the user that exim becomes
		t.Fatal(err)
	}
	act(t, a, schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}, "suspend")
	within(t, time.Minute, "the edge does not hear of the suspension", func() bool { return ask(t, socket, "acct-1\n") == "suspended\n" })
	stop()
	if got := eximRcpt(t, path, socket, "acct-1"); !strings.HasPrefix(got, "550") || !strings.Contains(got, "5.7.1") {
		t.Errorf("a suspended account is answered %q", got)
	}
	if got := eximRcpt(t, path, socket, "acct-2"); !strings.HasPrefix(got, "250") {
		t.Errorf("another account is answered %q", got)
	}

	if got := eximRcpt(t, path, filepath.Join(t.TempDir(), "nobody.sock"), "acct-1"); !strings.HasPrefix(got, "250") {
		t.Errorf("without an edge: %q", got)
	}
}

// Command receiver is an example of a platform that carries Holdfast's acts out: it takes the
// signed webhook of deploy/docs/webhook.md, keeps the newest standing of each entity in a file,
// and answers questions for it. It uses the standard library alone: copy it, and put the
// platform's own calls where carryOut prints.
//
//	openssl rand -base64 32 | sed s/^/whsec_/ > secret && chmod 600 secret
//	go run ./deploy/examples/receiver -listen 127.0.0.1:9090 -secret secret -state state.ndjson
//
// and in Holdfast's configuration
//
//	enforce:
//	  webhook:
//	    url: http://127.0.0.1:9090/holdfast
//	    status_url: http://127.0.0.1:9090/status/{entity}
//	    secret_file: secret
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9090", "address to listen on")
	secret := flag.String("secret", "secret", "file with the signing secret, whsec_ and base64")
	old := flag.String("old-secret", "", "file with the secret before, while it is changed")
	state := flag.String("state", "state.ndjson", "file that keeps what was carried out")
	flag.Parse()
	if err := run(context.Background(), *listen, *secret, *old, *state); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen, secret, old, state string) error {
	var keys [][]byte
	for _, file := range []string{secret, old} {
		if file == "" {
			continue
		}
		key, err := readSecret(file)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	s, err := openState(state)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "listens on", l.Addr())
	r := &receiver{keys: keys, state: s, now: time.Now}
	server := &http.Server{Handler: r.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	return server.Serve(l)
}

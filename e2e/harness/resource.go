package harness

import "context"

// AddResource registers a resource server.
func (r *Env) AddResource(name string) App {
	r.t.Helper()
	server, credential, err := r.Rules.CreateResource(context.Background(), Operator, name)
	if err != nil {
		r.t.Fatalf("create resource server %s: %v", name, err)
	}
	return App{ID: server.ID, Secret: credential.Reveal()}
}

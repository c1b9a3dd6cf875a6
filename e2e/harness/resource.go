package harness

import "context"

// AddResource registers a resource server.
func (e *Env) AddResource(name string) App {
	e.t.Helper()
	server, credential, err := e.Rules.CreateResource(context.Background(), Operator, name)
	if err != nil {
		e.t.Fatalf("create resource server %s: %v", name, err)
	}
	return App{ID: server.ID, Secret: credential.Reveal()}
}

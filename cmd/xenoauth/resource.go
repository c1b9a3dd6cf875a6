package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"xenoauth/store"
)

// resourceView is a resource server in JSON. id and client_id are the same.
type resourceView struct {
	ID           string   `json:"id"`
	ClientID     string   `json:"client_id"`
	Name         string   `json:"name"`
	CreatedAt    jsonTime `json:"created_at"`
	ClientSecret string   `json:"client_secret,omitempty"` // only for a new resource server
	SecretID     string   `json:"secret_id,omitempty"`
}

// shownResourceView is a resource server with the details that show and list add.
type shownResourceView struct {
	resourceView
	Secrets []secretView `json:"secrets"`
}

// showResource returns these details.
func (e *env) showResource(ctx context.Context, r store.ResourceServer) (shownResourceView, error) {
	secrets, err := e.directory.ResourceSecrets(ctx, operator(), r.ID)
	return shownResourceView{viewResource(r), viewSecrets(secrets)}, err
}

func (p *program) resourceCommand() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:   "resource",
		Short: "Manage credentials of the platform's APIs, which verify tokens",
	}, p.resourceAdd(), p.resourceList(), p.resourceShow(), p.resourceRotateSecret(), p.resourceRevokeSecret(), p.resourceRemove())
}

func (p *program) resourceAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Create a credential for an API that introspects tokens",
		Long: `Create a credential with which an API of the platform calls /oauth/introspect. The
secret is shown this once; only its hash is kept.`,
		Example: `  xenoauth resource add "Widgets API" --json`,
		Args:    arguments("NAME"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		r, c, err := e.directory.CreateResource(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		v := viewResource(r)
		v.ClientSecret, v.SecretID = c.Reveal(), c.ID.String()
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"client id", v.ClientID}, field{"name", v.Name},
			field{"client secret", v.ClientSecret + "  (shown only now)"}, field{"secret id", v.SecretID})
	})
	return cmd
}

func viewResource(r store.ResourceServer) resourceView {
	return resourceView{ID: r.ID, ClientID: r.ID, Name: r.Name, CreatedAt: jsonTime(r.CreatedAt)}
}

func (p *program) resourceList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List all resource servers",
		Example: "  xenoauth resource list",
		Args:    arguments(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, _ []string) error {
		resources, err := e.store.ListResources(ctx)
		if err != nil {
			return fmt.Errorf("list resource servers: %w", err)
		}
		views, rows := []shownResourceView{}, [][]string{}
		for _, r := range resources {
			v, err := e.showResource(ctx, r)
			if errors.Is(err, store.ErrNotFound) {
				continue // removed in the meantime
			}
			if err != nil {
				return err
			}
			views = append(views, v)
			rows = append(rows, []string{v.ClientID, v.Name, hints(v.Secrets), v.CreatedAt.String()})
		}
		if *asJSON {
			return p.printJSON(views)
		}
		return p.printRows([]string{"CLIENT ID", "NAME", "SECRET", "CREATED (UTC)"}, rows)
	})
	return cmd
}

func (p *program) resourceShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show RESOURCE",
		Short:   "Show a resource server and its secrets (last characters only)",
		Example: "  xenoauth resource show rs_0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("RESOURCE"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		r, err := e.directory.ResourceServer(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		v, err := e.showResource(ctx, r)
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"client id", v.ClientID}, field{"name", v.Name}, field{"created", v.CreatedAt.String()}, secretsField(v.Secrets))
	})
	return cmd
}

func (p *program) resourceRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove RESOURCE",
		Short:   "Remove a resource server permanently; its credential stops working at once",
		Example: "  xenoauth resource remove rs_0AbCdEfGhIjKlMnOpQrStU --yes",
		Args:    arguments("RESOURCE"),
	}
	yes, asJSON := confirmFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		r, err := e.directory.ResourceServer(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if err := p.confirm(*yes, "Remove %q permanently?", r.Name); err != nil {
			return err
		}
		if err := e.store.RemoveResource(ctx, operator(), r.ID); err != nil {
			return fmt.Errorf("remove resource server %s: %w", r.ID, err)
		}
		return p.done(*asJSON, "removed", r.ID, r.Name)
	})
	return cmd
}

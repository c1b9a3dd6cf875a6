package store_test

import (
	"errors"
	"testing"

	"xenoauth/store"
)

func TestPrincipal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		p         store.Principal
		permitted bool
		operator  bool
		userID    string
		actor     store.Actor
		text      string
	}{
		"zero":                       {store.Principal{}, false, false, "", store.Actor{}, "no principal"},
		"user without an id":         {store.UserPrincipal("", "192.0.2.1"), false, false, "", store.Actor{}, "no principal"},
		"app without an id":          {store.AppPrincipal("", "192.0.2.1"), false, false, "", store.Actor{}, "no principal"},
		"operator without a name":    {store.OperatorPrincipal(""), false, false, "", store.Actor{}, "no principal"},
		"zero with a form":           {store.Principal{}.WithForm([]byte("f")), false, false, "", store.Actor{}, "no principal"},
		"user":                       {store.UserPrincipal("u", "192.0.2.1"), true, false, "u", store.Actor{Kind: store.ActorUser, ID: "u", IP: "192.0.2.1"}, "user u"},
		"visitor":                    {store.VisitorPrincipal("192.0.2.1"), true, false, "", store.Actor{Kind: store.ActorUser, IP: "192.0.2.1"}, "a visitor"},
		"app":                        {store.AppPrincipal("app_a", "192.0.2.1"), true, false, "", store.Actor{Kind: store.ActorApp, ID: "app_a", IP: "192.0.2.1"}, "client app_a"},
		"operator":                   {store.OperatorPrincipal("command line (root@host)"), true, true, "", store.Actor{Kind: store.ActorOperator}, "command line (root@host)"},
		"system":                     {store.SystemPrincipal(), true, false, "", store.Actor{Kind: store.ActorSystem}, "the server"},
		"user whose id is operator":  {store.UserPrincipal("operator", ""), true, false, "operator", store.Actor{Kind: store.ActorUser, ID: "operator"}, "user operator"},
		"user who acts by a form":    {store.UserPrincipal("u", "").WithForm([]byte("f")), true, false, "u", store.Actor{Kind: store.ActorUser, ID: "u"}, "user u"},
		"visitor that signs up once": {store.VisitorPrincipal("").WithForm([]byte("f")), true, false, "", store.Actor{Kind: store.ActorUser}, "a visitor"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.p.Permitted(); (err == nil) != c.permitted || err != nil && !errors.Is(err, store.ErrNotPermitted) {
				t.Errorf("permitted: %v, want %t", err, c.permitted)
			}
			if c.p.IsOperator() != c.operator || c.p.UserID() != c.userID {
				t.Errorf("operator %t, user %q; want %t, %q", c.p.IsOperator(), c.p.UserID(), c.operator, c.userID)
			}
			if got := c.p.Actor(); got != c.actor {
				t.Errorf("actor %+v, want %+v", got, c.actor)
			}
			if got := c.p.String(); got != c.text {
				t.Errorf("named %q, want %q", got, c.text)
			}
		})
	}
}

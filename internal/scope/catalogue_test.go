package scope

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// layered has scopes that imply others indirectly, and permissions on users.
const layered = `{"scopes": [
 {"name": "z.all", "title": "All", "description": "Do all.", "sensitivity": "high", "aliases": ["all"], "implies": ["y.write"], "permissions": ["form:fetch"]},
 {"name": "y.write", "title": "Write", "description": "Write.", "sensitivity": "medium", "implies": ["x.read"], "permissions": ["contact:create"]},
 {"name": "x.read", "title": "Read", "description": "Read.", "sensitivity": "low", "permissions": ["contact:list"]},
 {"name": "people", "title": "People", "description": "See people.", "sensitivity": "low", "needs_user": true, "permissions": ["user:fetch"]},
 {"name": "me", "title": "Me", "description": "See you.", "sensitivity": "low", "permissions": ["user:fetch:self"]}
]}`

func mustLoad(t testing.TB, text string) *Catalogue {
	t.Helper()
	c, err := LoadCatalogue(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefault(t *testing.T) {
	t.Parallel()
	c := Default()
	if got, want := c.Names(), []string{"widgets", "faqs", "contacts", "conversations"}; !slices.Equal(got, want) {
		t.Errorf("Names = %v, want %v", got, want)
	}
	for _, name := range []string{"widgets", "widget", "brands"} {
		if s, ok := c.Scope(name); !ok || s.Name != "widgets" {
			t.Errorf("Scope(%s) = %q, %v", name, s.Name, ok)
		}
	}
	for _, name := range []string{"", "Widgets", "faq", "brand", "admin"} {
		if s, ok := c.Scope(name); ok {
			t.Errorf("Scope(%s) = %q", name, s.Name)
		}
	}
	for _, name := range c.Names() {
		s, _ := c.Scope(name)
		if s.NeedsUser || len(s.Permissions) == 0 || s.Note == "" {
			t.Errorf("%s needs a user, or has no permission or no note", name)
		}
	}
	var roles []Role
	for _, info := range c.Roles() {
		roles = append(roles, info.Role)
	}
	if !slices.Equal(roles, Roles()) {
		t.Errorf("Roles = %v", roles)
	}
	if !reflect.DeepEqual(c.Matrix(), mustLoad(t, layered).Matrix()) {
		t.Error("a catalogue without a matrix does not get the default one")
	}
}

func TestCatalogue_ReturnsCopies(t *testing.T) {
	t.Parallel()
	c := Default()
	s, _ := c.Scope("widgets")
	s.Aliases[0], s.Permissions[0] = "x", "x"
	c.Describe(mustSet(t, "widgets"))[0].Aliases[0] = "x"
	c.Names()[0] = "x"
	c.Matrix()[0].Roles[0] = "x"
	c.Roles()[0].Title = "x"
	if !reflect.DeepEqual(c, Default()) {
		t.Error("a caller changed the catalogue")
	}
}

func TestCanonicalExpandDescribe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		asked, canonical, unknown, expanded, described string
	}{
		{"", "", "", "", ""},
		{"all", "z.all", "", "x.read y.write z.all", "z.all"},
		{"all z.all", "z.all", "", "x.read y.write z.all", "z.all"},
		{"x.read all", "x.read z.all", "", "x.read y.write z.all", "z.all x.read"},
		{"y.write", "y.write", "", "x.read y.write", "y.write"},
		{"nope all A", "z.all", "A nope", "A nope x.read y.write z.all", "z.all"},
		{"X.READ", "", "X.READ", "X.READ", ""},
	} {
		c := mustLoad(t, layered)
		canonical, unknown := c.Canonical(mustSet(t, tt.asked))
		if canonical.String() != tt.canonical || strings.Join(unknown, " ") != tt.unknown {
			t.Errorf("%q: canonical %q, unknown %q", tt.asked, canonical, unknown)
		}
		if got := c.Expand(mustSet(t, tt.asked)).String(); got != tt.expanded {
			t.Errorf("%q: expanded %q, want %q", tt.asked, got, tt.expanded)
		}
		var described []string
		for _, s := range c.Describe(mustSet(t, tt.asked)) {
			described = append(described, s.Name)
		}
		if got := strings.Join(described, " "); got != tt.described {
			t.Errorf("%q: described %q, want %q", tt.asked, got, tt.described)
		}
	}
}

func TestSpell(t *testing.T) {
	t.Parallel()
	c := Default()
	for name, tt := range map[string]struct{ asked, granted, want string }{
		"as documented":            {"widget", "widgets", "widget"},
		"canonical":                {"widgets", "widgets", "widgets"},
		"the users' word":          {"brands", "widgets", "brands"},
		"order as asked":           {"faqs widget contacts", "contacts faqs widgets", "faqs widget contacts"},
		"one denied":               {"faqs widget contacts", "widgets", "widget"},
		"more than asked":          {"widget", "contacts widgets faqs", "widget contacts faqs"},
		"nothing asked":            {"", "faqs widgets", "faqs widgets"},
		"nothing granted":          {"widget faqs", "", ""},
		"asked twice":              {"widget widget", "widgets", "widget"},
		"asked by two names":       {"widget brands", "widgets", "widget brands"},
		"unknown asked":            {"nope widget", "widgets", "widget"},
		"unknown granted":          {"old widget", "old widgets", "old widget"},
		"spaces":                   {"  widget   faqs ", "faqs widgets", "widget faqs"},
		"characters not permitted": {"widget\tfaqs \"faqs faqs", "faqs", "faqs"},
	} {
		if got := c.Spell(tt.asked, mustSet(t, tt.granted)); got != tt.want {
			t.Errorf("%s: Spell(%q, %q) = %q, want %q", name, tt.asked, tt.granted, got, tt.want)
		}
	}
}

func TestEffective(t *testing.T) {
	t.Parallel()
	own, xeno := mustLoad(t, layered), Default()
	for name, tt := range map[string]struct {
		c      *Catalogue
		scopes string
		role   Role
		want   string
	}{
		"scope narrows the role":           {xeno, "contacts", RoleAdmin, "contact:list contact:fetch contact:create contact:update"},
		"role narrows the scope":           {xeno, "contacts", RoleAgent, "contact:list"},
		"by an alias":                      {xeno, "brands", RoleAdmin, "service:list service:fetch service:create service:update"},
		"nothing in common":                {xeno, "widgets", RoleBot, ""},
		"guest in conversations":           {xeno, "conversations", RoleGuest, "conversation:fetch message:create"},
		"no role":                          {xeno, "contacts faqs", "", ""},
		"unknown role":                     {xeno, "contacts", "root", ""},
		"no scopes":                        {xeno, "", RoleAdmin, ""},
		"unknown scope":                    {xeno, "admin nope", RoleAdmin, ""},
		"implied at two removes":           {own, "z.all", RoleAdmin, "contact:list contact:create form:fetch"},
		"implied, narrowed":                {own, "all", RoleBot, "contact:list contact:create"},
		"all users include oneself":        {own, "people", RoleAdmin, "user:fetch user:fetch:self"},
		"guest keeps oneself of all users": {own, "people", RoleGuest, "user:fetch:self"},
		"oneself is not all users":         {own, "me", RoleAdmin, "user:fetch:self"},
	} {
		scopes := mustSet(t, tt.scopes)
		var want []Permission
		for _, p := range strings.Fields(tt.want) {
			want = append(want, Permission(p))
		}
		if got := tt.c.Effective(scopes, tt.role); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		for _, p := range append(Permissions(), "nope", "") {
			if got := tt.c.Allows(scopes, tt.role, p); got != slices.Contains(want, p) {
				t.Errorf("%s: Allows(%s) = %v", name, p, got)
			}
		}
	}
	if got := own.ScopePermissions(mustSet(t, "people y.write")); !slices.Equal(got,
		[]Permission{"user:fetch", "contact:list", "contact:create", "user:fetch:self"}) {
		t.Errorf("ScopePermissions = %v", got)
	}
}

package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"xenoauth/store"
)

func testZeroPrincipal(t *testing.T, st store.Store) {
	RefusesZeroPrincipal(t, st, 40)
	events, err := st.Events(t.Context(), store.EventFilter{})
	no(t, err)
	equal(t, "events", len(events), 0)
}

// RefusesZeroPrincipal calls every exported method of v that takes a Principal with the zero one and zero arguments, and
// fails the test unless each returns ErrNotPermitted. A method that is added later is found by its signature; least is how
// many there are at least.
func RefusesZeroPrincipal(t testing.TB, v any, least int) {
	t.Helper()
	found := 0
	for method, value := range reflect.ValueOf(v).Methods() {
		arguments, takes := zeroArguments(t.Context(), value.Type())
		if !takes {
			continue
		}
		found++
		results := value.Call(arguments)
		if err, _ := results[len(results)-1].Interface().(error); !errors.Is(err, store.ErrNotPermitted) {
			t.Errorf("%s by the zero Principal: got error %v, want ErrNotPermitted", method.Name, err)
		}
	}
	if found < least {
		t.Errorf("%d methods take a Principal, want %d at least", found, least)
	}
}

// zeroArguments are zero values for the parameters of a function, but for its context, and whether one is a Principal.
func zeroArguments(ctx context.Context, f reflect.Type) (arguments []reflect.Value, principal bool) {
	for in := range f.Ins() {
		switch {
		case in == reflect.TypeFor[context.Context]():
			arguments = append(arguments, reflect.ValueOf(ctx))
			continue
		case in == reflect.TypeFor[store.Principal]():
			principal = true
		case f.IsVariadic() && len(arguments) == f.NumIn()-1:
			return arguments, principal
		}
		arguments = append(arguments, reflect.Zero(in))
	}
	return arguments, principal
}

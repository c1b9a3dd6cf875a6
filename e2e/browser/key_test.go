package browser

import (
	"context"

	"xenoauth/internal/directory"
	"xenoauth/store"
)

// managing is what an admin sees of API keys and bots.
func (w *world) managing() []scene {
	ctx := context.Background()
	me, err := w.Store.UserByEmail(ctx, grace)
	w.do(err)
	members, err := w.Store.MembersByUser(ctx, me.ID)
	w.do(err)
	by, account := store.UserPrincipal(me.ID, ""), members[0].AccountID
	bot, _, err := w.Rules.CreateBot(ctx, by, account, "Booking assistant")
	w.do(err)
	halted, _, err := w.Rules.CreateBot(ctx, by, account, name)
	w.do(err)
	w.do(w.Store.SetUserDisabled(ctx, by, halted.ID, true))
	for _, form := range []directory.KeyForm{
		{Name: "Nightly export"}, {Name: name, Scopes: []string{"guest", "agent", "bot", "admin"}}, {Name: "Chat", Scopes: []string{"bot"}, UserID: bot.ID},
	} {
		_, _, err := w.Rules.CreateKey(ctx, by, account, form)
		w.do(err)
	}
	submit, rotate := "main .actions button[type=submit]", "main a[href$='/rotate']"
	key := func(name, kind string, fill ...string) scene {
		return scene{name, func(b *tab) {
			b.open(w.URL + "/account/keys/new")
			b.fill("#name", "Warehouse")
			b.tick("[name=kind][value=" + kind + "]")
			for _, role := range fill {
				b.tick("[name=scopes][value=" + role + "]")
			}
			b.press(submit)
		}}
	}
	return []scene{
		w.at("keys", "/account/keys"), w.at("key-new", "/account/keys/new"),
		key("key-faults", "token"), key("key-made", "account"), key("key-made-token", "token", "agent", "bot"),
		{"key-rotate", func(b *tab) { b.open(w.URL + "/account/keys"); b.press(rotate) }},
		{"key-rotated", func(b *tab) { b.press(submit) }},
		{"key-rotate-full", func(b *tab) { b.open(w.URL + "/account/keys"); b.press(rotate) }},
		{"key-revoke", func(b *tab) { b.open(w.URL + "/account/keys"); b.press("main a[href$='/revoke']") }},
		{"key-revoked", func(b *tab) { b.press(submit) }},
		w.at("bots", "/account/bots"), w.at("bot-new", "/account/bots/new"), w.at("bot", "/account/bots/"+bot.ID), w.at("bot-disabled", "/account/bots/"+halted.ID),
		{"bot-faults", func(b *tab) {
			b.open(w.URL + "/account/bots/new")
			b.fill("#name", " ")
			b.press(submit)
		}},
		{"bot-made", func(b *tab) {
			b.fill("#name", "Order bot")
			b.press(submit)
		}},
		{"bot-rotate", func(b *tab) { b.open(w.URL + "/account/bots/" + bot.ID); b.press(rotate) }},
		{"bot-rotated", func(b *tab) { b.press(submit) }},
		{"bot-remove", func(b *tab) { b.open(w.URL + "/account/bots/" + bot.ID); b.press("main a[href$='/remove']") }},
		{"bot-removed", func(b *tab) { b.press(submit) }},
	}
}

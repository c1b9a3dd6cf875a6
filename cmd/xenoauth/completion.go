package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

const (
	// maxCompletions is the maximum number of words for one completion.
	maxCompletions = 50
	// completionTime is the time limit for one completion.
	completionTime = 2 * time.Second
)

// complete sets the completions of arguments and flags of every command below cmd.
func (p *program) complete(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		p.complete(c)
	}
	var arguments []string
	for _, word := range strings.Fields(cmd.Use)[1:] {
		word = strings.Trim(word, "[]")
		if strings.HasPrefix(word, "--") {
			break
		}
		arguments = append(arguments, word)
	}
	if cmd.RunE != nil && !cmd.HasSubCommands() {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) >= len(arguments) {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return p.words(cmd, arguments[len(args)], begun), cobra.ShellCompDirectiveNoFileComp
		}
	}
	for name, kind := range map[string]string{
		"owner": "ACCOUNT_OR_EMAIL", "account": "ACCOUNT_OR_EMAIL", "user": "EMAIL_OR_ID", "default-plan": "PLAN",
		"migrate": "auto off", "signup": "open closed", "log-level": "debug info warn error", "log-format": "text json",
		"user-token-alg": "ES256 HS256", "pooler": "none transaction",
	} {
		if cmd.LocalNonPersistentFlags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
				return p.words(cmd, kind, begun), cobra.ShellCompDirectiveNoFileComp
			})
		}
	}
}

// words returns the values of an argument with the given prefix. It returns none if the database cannot be read, because a shell
// cannot show an error.
func (p *program) words(cmd *cobra.Command, kind, begun string) []string {
	var words []string
	switch kind {
	case "ROLE":
		for _, r := range scope.Roles() {
			words = append(words, string(r))
		}
	case "PLAN":
		words = plans(p.load(cmd).apiPlans())
	case "APP", "BOT", "KEY", "RESOURCE", "EMAIL_OR_ID", "MEMBER_EMAIL", "ACCOUNT_OR_EMAIL":
		words = p.stored(cmd, kind)
	default:
		if kind == strings.ToLower(kind) || strings.Contains(kind, "256") {
			words = strings.Fields(kind)
		}
	}
	return slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, begun) })
}

// stored reads words from the database. Each is followed by a tab and its name, which shells show beside it.
func (p *program) stored(cmd *cobra.Command, kind string) []string {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	s := p.load(cmd)
	cmd.SetContext(ctx)
	o, err := p.open(cmd, s)
	if err != nil {
		return nil
	}
	defer o.close()
	page := store.Page{Limit: maxCompletions}
	var words []string
	add := func(id, name string) { words = append(words, id+"\t"+name) }
	switch kind {
	case "APP":
		list, _ := o.store.ListApps(ctx, page)
		for _, a := range list {
			add(a.ID, a.Name)
		}
	case "BOT":
		list, _ := o.store.ListBots(ctx, page)
		for _, b := range list {
			add(b.ID, b.Name)
		}
	case "RESOURCE":
		list, _ := o.store.ListResources(ctx)
		for _, r := range list[:min(len(list), maxCompletions)] {
			add(r.ID, r.Name)
		}
	case "KEY":
		list, _ := o.store.ListAPIKeys(ctx, page)
		for _, k := range list {
			add(k.ID, k.Name)
		}
	case "EMAIL_OR_ID", "MEMBER_EMAIL":
		list, _ := o.store.ListUsers(ctx, page)
		for _, u := range list {
			add(u.Email, u.Name)
		}
	case "ACCOUNT_OR_EMAIL":
		list, _ := o.store.ListAccounts(ctx, page)
		for _, a := range list {
			add(a.ID, a.Name)
		}
	}
	return words
}

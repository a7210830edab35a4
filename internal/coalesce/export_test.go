package coalesce

// Swap gives a group what another one does.
func Swap[Q comparable, A any](g, with *Group[Q, A]) { g.opts.Do = with.opts.Do }

//go:build !unix

package child

// Freeze leaves the test out: processes cannot be stopped here.
func (p *Process) Freeze() {
	p.t.Helper()
	p.t.Skip("left out: processes cannot be stopped on this system")
}

// Thaw does nothing.
func (p *Process) Thaw() {}

package child

import "io"

// HangUp closes the child's stdin, as the end of the test's process does.
func (p *Process) HangUp() { _ = p.Pipe.out.(io.Closer).Close() }

package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// openLogs opens the access logs that are not open yet. One that cannot be opened
// refuses the change; a daemon that comes back goes without.
func (e *engine) openLogs(c *change) error {
	for _, l := range c.compiled {
		if l.AccessLog == nil || e.logs[l.AccessLog.Path] != nil {
			continue
		}
		path := l.AccessLog.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(e.dir, path)
		}
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			e.logs[l.AccessLog.Path], err = e.balancer.OpenAccessLog(path, l.AccessLog.Format)
		}
		if err != nil {
			delete(e.logs, l.AccessLog.Path)
			if err = fmt.Errorf("%s: %w", l.Address, err); !c.lenient {
				return err
			}
			c.problems = append(c.problems, err.Error())
			continue
		}
		c.opened = append(c.opened, l.AccessLog.Path)
	}
	return nil
}

// closeLogs closes access logs. Exchanges that end later are not logged.
func (e *engine) closeLogs(paths []string) error {
	var errs []error
	for _, path := range paths {
		errs = append(errs, e.logs[path].Close())
		delete(e.logs, path)
	}
	return errors.Join(errs...)
}

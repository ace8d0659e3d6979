package flagfile

import (
	"errors"
	"path/filepath"
)

// Config is the driver's section of an environment in noren.yaml.
type Config struct {
	// Dir is the folder of the flag files.
	Dir string `json:"dir"`
}

// Validate checks the section without I/O.
func (c Config) Validate() error {
	if !filepath.IsAbs(c.Dir) {
		return errors.New("dir: name the folder of the flag files with an absolute path")
	}
	return nil
}

// Package suite keeps franz-go in go.mod: its own tests are run, no program uses it.
package suite

import _ "github.com/twmb/franz-go/pkg/kgo"

// Bench measures what the library promises of its speed, each figure beside its floor:
// the least that such a thing can cost, or what one has without the library, measured
// in the same run, in turns. It prints a table with ratios; absolute figures are the
// machine's.
//
//	make bench                     # everything, about ten minutes
//	go -C bench run . -run cached  # what matches
//
// It starts servers of its own, with fsync on, from installed programs of Postgres and
// MariaDB ("make test" installs them, as root on Debian). What has no server is left
// out, and it says so.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"time"
)

// config is what all measurements share.
type config struct {
	rounds int           // of each measurement; the median counts
	each   time.Duration // of one round of one variant
	seed   uint64        // of the order in which keys are used
	keys   int           // what "10,000 keys" stands for
	scan   int           // keys of the scan
	memory int           // keys that are to be remembered
	table  *table
}

// section is one part of the table.
type section struct {
	name string
	run  func(ctx context.Context, c config) error
}

func sections() []section {
	all := []section{
		{"cached", cached},
		{"memory", memory},
		{"statements", statements},
		{"strict", database{name: "Postgres", open: openPostgres}.section(strictReads)},
	}
	for _, d := range databases() {
		all = append(all,
			section{"default/" + d.name, d.section(everythingDefault)},
			section{"exact/" + d.name, d.section(strictWrites)},
			section{"revocation/" + d.name, d.section(revocation)},
		)
	}
	return all
}

func main() {
	c := config{table: &table{}}
	flag.IntVar(&c.rounds, "rounds", 5, "rounds of each measurement; the median counts")
	flag.DurationVar(&c.each, "each", time.Second, "length of one round of one variant")
	flag.Uint64Var(&c.seed, "seed", 1, "seed of the order in which keys are used")
	pattern := flag.String("run", "", "regular expression: which sections")
	flag.Parse()
	c.keys, c.scan, c.memory = 10_000, 1_000_000, 100_000

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	chosen, err := regexp.Compile(*pattern)
	if err == nil {
		err = run(ctx, c, chosen)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run runs the chosen sections and prints the table.
func run(ctx context.Context, c config, chosen *regexp.Regexp) error {
	for _, s := range sections() {
		if !chosen.MatchString(s.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench:", s.name)
		if err := s.run(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	fmt.Printf("%s, %s/%s, %d cores, %s; medians of %d rounds of %s\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.GOMAXPROCS(0), time.Now().UTC().Format(time.DateOnly), c.rounds, c.each)
	return c.table.print(os.Stdout)
}

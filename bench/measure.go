package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// operation is what is measured: once, by one of several workers, with one of several
// things (a key, say), by its number.
type operation func(ctx context.Context, thing int) error

// load says who does it, and with how many things.
type load struct {
	workers int
	things  int
	burst   int // operations between two looks at the clock
	warm    int // rounds before the first that counts; 0: one
	// settle does what a round of a variant has left to be done later: the round is over
	// when that is. nil: nothing.
	settle func(ctx context.Context, variant int) error
}

// order is the random order in which a worker uses the things, again and again; the
// same in every run.
func (c config) order(worker, things int) []int32 {
	dice := rand.New(rand.NewPCG(c.seed, uint64(worker)))
	list := make([]int32, things)
	for i, thing := range dice.Perm(things) {
		list[i] = int32(thing)
	}
	return list
}

// rates are how many operations there were in a second, in each round.
type rates []float64

func (r rates) median() float64 { return quantile(r, 0.5) }

// rates measures operations in turns and returns those of each. Before the first round
// each has met all things, and has been warmed up.
func (c config) rates(ctx context.Context, l load, variants ...operation) ([]rates, error) {
	orders := make([][]int32, l.workers)
	for i := range orders {
		orders[i] = c.order(i, l.things)
	}
	for i, op := range variants {
		if err := l.meet(ctx, op); err != nil {
			return nil, fmt.Errorf("variant %d: %w", i, err)
		}
		for range max(l.warm, 1) {
			if _, err := l.rate(ctx, c.each, orders, i, op); err != nil {
				return nil, fmt.Errorf("variant %d: %w", i, err)
			}
		}
	}
	all := make([]rates, len(variants))
	for range c.rounds {
		for i, op := range variants {
			rate, err := l.rate(ctx, c.each, orders, i, op)
			if err != nil {
				return nil, fmt.Errorf("variant %d: %w", i, err)
			}
			all[i] = append(all[i], rate)
		}
	}
	return all, nil
}

// meet runs an operation once with each thing.
func (l load) meet(ctx context.Context, op operation) error {
	const workers = 64
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < l.things && errs[w] == nil; i += workers {
				errs[w] = op(ctx, i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// rate is how many operations there are in a second, in one round.
func (l load) rate(ctx context.Context, each time.Duration, orders [][]int32, variant int, op operation) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var total atomic.Int64
	var stop atomic.Bool
	begun := time.Now()
	for _, order := range orders {
		wg.Go(func() {
			n, next := 0, 0
			for !stop.Load() && ctx.Err() == nil {
				for range max(l.burst, 1) {
					if err := op(ctx, int(order[next])); err != nil {
						cancel(err)
						return
					}
					n++
					if next++; next == len(order) {
						next = 0
					}
				}
			}
			total.Add(int64(n))
		})
	}
	timer := time.AfterFunc(each, func() { stop.Store(true) })
	defer timer.Stop()
	wg.Wait()
	if l.settle != nil {
		if err := l.settle(ctx, variant); err != nil {
			return 0, err
		}
	}
	elapsed := time.Since(begun)
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	if total.Load() == 0 {
		return 0, errors.New("nothing was done")
	}
	return float64(total.Load()) / elapsed.Seconds(), nil
}

// quantile is the value that such a part of the list does not exceed.
func quantile[T float64 | time.Duration](list []T, part float64) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

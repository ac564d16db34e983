package lifecycle

import (
	"context"
	"fmt"
	"os"
	"sync"
)

// Signals returns a context that ends at the first signal, with a cause that
// names it. At the second it calls abort, which is expected to end the process
// at once. The caller must call stop, which waits for the goroutine behind it;
// stop may be called more than once, and ends the context too.
//
// signals comes from os/signal.Notify and should be buffered.
func Signals(parent context.Context, signals <-chan os.Signal, abort func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	stopped := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for n := 0; ; n++ {
			select {
			case sig := <-signals:
				if n > 0 {
					abort()
					return
				}
				cancel(fmt.Errorf("signal: %v", sig))
			case <-stopped:
				return
			}
		}
	})
	var once sync.Once
	return ctx, func() {
		once.Do(func() { close(stopped) })
		watcher.Wait()
		cancel(context.Canceled)
	}
}
